"""What a user sees: our nodes on the canvas, the example workflow, a run with its result, the help."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))


def open_workflow(page: Page, file: Path) -> dict[str, Any]:
    """Load a workflow file onto the canvas; returns the prompt it would queue."""
    page.evaluate("async ([graph, name]) => app.loadGraphData(graph, true, true, name)", [load(file), file.stem])
    return dict(page.evaluate("async () => (await app.graphToPrompt()).output"))


def load(file: Path) -> dict[str, Any]:
    """A JSON file."""
    return dict(json.loads(file.read_text("utf-8")))


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_the_two_forms_of_a_workflow_say_the_same(file: Path, board: Page, complaints: list[str]) -> None:
    prompt = open_workflow(board, file)
    expect(board.get_by_text("Invalid workflow")).to_have_count(0)
    known = board.evaluate("async () => (await fetch('/object_info')).json()")
    api = load(file.parent / "api" / file.name)
    assert {n: node["class_type"] for n, node in prompt.items()} == {n: node["class_type"] for n, node in api.items()}
    for number, node in api.items():
        inputs = known[node["class_type"]]["input"]
        fields = inputs.get("required", {}) | inputs.get("optional", {})
        # What the API form leaves out is a default.
        full = {name: value for name, value in prompt[number]["inputs"].items() if name in fields}
        assert {name: fields[name][1].get("default") for name in full if name not in node["inputs"]} | node[
            "inputs"
        ] == full
    assert complaints == []


def test_the_loader_previews_its_video(canvas: Page) -> None:
    open_workflow(canvas, ROOT / "workflows" / "upscale_clip.json")
    video = canvas.locator("video").first
    expect(video).to_have_attribute("src", re.compile("phone.mp4"))


def test_a_run_shows_the_larger_video(canvas: Page, complaints: list[str]) -> None:
    open_workflow(canvas, ROOT / "workflows" / "upscale_clip.json")
    canvas.evaluate(
        """() => {
            const set = (type, name, value) => {
                const node = app.graph.nodes.find((node) => node.type === type);
                node.widgets.find((widget) => widget.name === name).value = value;
            };
            set("OVSR_TextOVSRUpscale", "weights", "tiny.safetensors");
            set("OVSR_LoadVideo", "duration", 0.2);
            window.texts = [];
            app.api.addEventListener("progress_text", (event) => window.texts.push(event.detail.text));
        }"""
    )
    canvas.evaluate("async () => app.queuePrompt(0)")
    result = canvas.locator("video[src*='output']").first
    expect(result).to_be_attached()
    canvas.wait_for_function("document.querySelector(\"video[src*='output']\").videoWidth === 1280")
    assert any(re.search(r"\d+/\d+ frames, .* fps", text) for text in canvas.evaluate("window.texts"))
    assert complaints == []


def test_every_node_has_help_and_tooltips(canvas: Page) -> None:
    info = canvas.evaluate("async () => (await fetch('/object_info')).json()")
    ours = {name: node for name, node in info.items() if name.startswith("OVSR_")}
    for name, node in ours.items():
        page = canvas.evaluate("async (name) => (await fetch(`/extensions/textovsr/docs/${name}.md`)).text()", name)
        assert page.startswith(f"# {node['display_name']}")
        for kind in node["input"].values():
            for field, (_, options, *_) in ((f, v) for f, v in kind.items() if isinstance(v, list) and len(v) > 1):
                assert options.get("tooltip"), f"{name}.{field}"
                assert f"| {field}" in page or f", {field}" in page, f"{field} is missing in the help of {name}"
