"""A Chinese user's canvas: our nodes, their tooltips and their help in Chinese, in the menus and on the nodes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from textovsr.tests.browser.gestures import open_canvas

ROOT = Path(__file__).resolve().parents[2]
CHOOSE = "async (language) => app.extensionManager.setting.set('Comfy.Locale', language)"
ADD = """([type, x, y]) => {
    const node = LiteGraph.createNode(type);
    node.pos = [x, y];
    app.graph.add(node);
    return {
        title: node.title,
        widgets: Object.fromEntries((node.widgets ?? []).map(({ name, label }) => [name, label])),
        inputs: Object.fromEntries(node.inputs.map(({ name, localized_name }) => [name, localized_name])),
        outputs: node.outputs.map(({ localized_name }) => localized_name),
    };
}"""


@pytest.fixture(scope="module")
def defs() -> dict[str, Any]:
    """The Chinese file."""
    return dict(json.loads((ROOT / "locales" / "zh" / "nodeDefs.json").read_text("utf-8")))


@pytest.fixture(scope="module")
def _chinese(shared_page: Page) -> Iterator[None]:
    """The user chose Chinese; the language is the server's, and so that of the pages that follow."""
    shared_page.evaluate(CHOOSE, "zh")
    yield
    shared_page.evaluate(CHOOSE, "en")


@pytest.fixture
def chinese(_chinese: None, board: Page) -> Page:
    """The canvas of that user, who comes back."""
    open_canvas(board, board.reload)
    return board


def test_english_stays_as_the_schemas_have_it(board: Page) -> None:
    """The first of this file: the language is the server's."""
    seen = board.evaluate(ADD, ["OVSR_SaveVideo", 0, 0])
    assert (seen["title"], seen["inputs"]["video"]) == ("Save Video (TextOVSR)", "video")


def test_nodes_speak_chinese(chinese: Page, defs: dict[str, Any], complaints: list[str]) -> None:
    for place, (name, texts) in enumerate(defs.items()):
        seen = chinese.evaluate(ADD, [name, 40 + place % 4 * 420, 40 + place // 4 * 500])
        assert seen["title"] == texts["display_name"]
        assert seen["outputs"] == [output["name"] for output in texts.get("outputs", {}).values()]
        for field, text in texts["inputs"].items():
            assert text["name"] in (seen["widgets"].get(field), seen["inputs"].get(field)), (name, field)
    assert complaints == []


def test_menus_speak_chinese(chinese: Page, defs: dict[str, Any], complaints: list[str]) -> None:
    found = chinese.evaluate(
        "() => Object.values(LiteGraph.registered_node_types)"
        ".filter(({ type }) => type?.startsWith('OVSR_')).map(({ title, category }) => [title, category])"
    )
    assert {title for title, _ in found} == {texts["display_name"] for texts in defs.values()}
    assert {category for _, category in found} == {
        f"TextOVSR/{part}" for part in ("修复", "文本", "视频", "质量", "退化模拟", "扩散模型")
    }
    assert complaints == []


def test_a_tooltip_and_a_placeholder_speak_chinese(chinese: Page, defs: dict[str, Any], complaints: list[str]) -> None:
    chinese.evaluate("() => { app.graph.clear(); app.canvas.ds.reset(); }")
    chinese.evaluate(ADD, ["OVSR_TextOVSRUpscale", 300, 120])
    expect(chinese.get_by_placeholder("画面描述", exact=True)).to_be_visible()
    place = chinese.evaluate(
        """() => {
            app.canvas.draw(true, true);
            const [node] = app.graph.nodes;
            const { y } = node.widgets.find(({ name }) => name === "crf");
            const { left, top } = app.canvas.canvas.getBoundingClientRect();
            const inside = [node.pos[0] + node.size[0] / 2, node.pos[1] + y + 10];
            const [x, down] = app.canvas.ds.convertOffsetToCanvas(inside);
            return [left + x, top + down];
        }"""
    )
    chinese.mouse.move(place[0] - 30, place[1])
    chinese.mouse.move(*place, steps=3)
    tooltip = defs["OVSR_TextOVSRUpscale"]["inputs"]["crf"]["tooltip"]
    expect(chinese.get_by_text(tooltip, exact=True)).to_be_visible()
    assert complaints == []
