"""The quality timeline on the canvas: values, pictures and times of the frame below the pointer or the cursor."""

import csv
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Position, expect
from safetensors.torch import save_file

from textovsr.tests.browser.gestures import DRAWN, held, release
from textovsr.tests.helpers.clip import small_clip
from textovsr.tests.helpers.spoilt import BAD, FRAMES, write
from textovsr.tools.comfy_server import ComfyServer

RATE = 10
MODULE = "const table = await import('/extensions/textovsr/canvas/timeline_table.js');"
BUILD = """([type, settings, from]) => {
    app.graph.clear();
    app.canvas.ds.reset();
    app.canvas.ds.scale = 0.7;
    const add = (type, x, settings) => {
        const node = LiteGraph.createNode(type);
        node.pos = [x, 60];
        app.graph.add(node);
        for (const [name, value] of Object.entries(settings)) widget(node, name).value = value;
        return node;
    };
    const widget = (node, name) => node.widgets.find((widget) => widget.name === name);
    const source = add(...from);
    window.tested = add(type, 500, settings);
    source.connect(0, tested, 0);
    if (type === "OVSR_CLIPIQAScore") {
        const shown = add("PreviewAny", 1000, {});
        tested.connect(0, shown, 0);
    }
    if (type === "OVSR_QualityReport") {
        const compared = add("OVSR_CompareVideos", 1000, {});
        for (const slot of [0, 1]) source.connect(0, compared, slot);
    }
    if (!window.sought) window.addEventListener("textovsr:seek", ({ detail }) => sought.push(detail.seconds));
    window.sought = [];
}"""


@pytest.fixture(scope="module", autouse=True)
def _inputs(server: ComfyServer) -> None:
    """A video with one bad frame, and a small CLIP."""
    write(server.base / "input" / "spoilt.mkv", spoilt=True)
    folder = server.base / "models" / "clip_iqa"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(small_clip(), folder / "tiny.safetensors")


@pytest.fixture
def run(board: Page) -> Callable[..., dict[str, Any]]:
    """Build a source and a node behind it, run all, wait for the end and the plot; returns what the node told."""
    board.evaluate(
        """() => {
            if (window.ended !== undefined) return;
            window.ended = 0;
            app.api.addEventListener("executed", ({ detail }) => (window.told = detail.output.timeline ?? told));
            for (const end of ["execution_success", "execution_error", "execution_interrupted"])
                app.api.addEventListener(end, () => ended++);
        }"""
    )

    def press(kind: str, source: list[Any] | None = None, **settings: Any) -> dict[str, Any]:
        board.evaluate(BUILD, [kind, settings, source or ["OVSR_LoadVideo", 80, {"file": "spoilt.mkv"}]])
        board.evaluate("async () => { window.told = null; window.ended = 0; await app.queuePrompt(0); }")
        board.wait_for_function("ended === 1")
        expect(plot(board)).to_be_visible()
        return dict(board.evaluate("told[0]"))

    return press


def plot(page: Page) -> Locator:
    """The plot itself."""
    return page.locator(".textovsr-plot")


def said(page: Page) -> tuple[str, str]:
    """The value and the place that the cursor tells."""
    words = page.locator(".textovsr-words > *").all_inner_texts()
    return words[0], words[1]


def expect_said(page: Page, value: str, place: str) -> None:
    """What the cursor comes to tell."""
    words = page.locator(".textovsr-words > *")
    expect(words.nth(0)).to_have_text(value)
    expect(words.nth(1)).to_have_text(place)


def column(page: Page, frame: int) -> Position:
    """Where a frame of the whole video is in the plot."""
    box = plot(page).bounding_box()
    assert box is not None
    return {"x": box["width"] * frame / (FRAMES - 1), "y": 20}


def expect_picture(page: Page, frame: int) -> None:
    """Of that frame of the file, and really there."""
    image = page.locator(".textovsr-frame img")
    expect(image).to_be_visible()
    page.wait_for_function(
        """(frame) => {
            const image = document.querySelector(".textovsr-frame img");
            const shown = new URL(image.src).searchParams.get("frame");
            return shown === String(frame) && image.complete && image.naturalWidth > 0;
        }""",
        arg=frame,
    )


def test_the_cursor_tells_values_times_and_pictures(
    board: Page, server: ComfyServer, run: Callable[..., dict[str, Any]], complaints: list[str]
) -> None:
    told = run("OVSR_QualityReport", measures="quick", worst_by="sharpness", window=0.1, worst=1)
    table = server.base / "output" / told["table"]["subfolder"] / told["table"]["filename"]
    with table.open(newline="") as file:
        values = [f"{float(row['sharpness']):.2f}" for row in csv.DictReader(file)]
    expect_said(board, values[BAD], f"0:00.{BAD}0, frame {BAD}")  # begins at the worst
    expect_picture(board, BAD)
    assert plot(board).locator(".textovsr-mark").all_inner_texts() == ["1"]
    plot(board).hover(position=column(board, 2))
    expect_said(board, values[2], "0:00.20, frame 2")
    expect_picture(board, 2)
    plot(board).click(position=column(board, 3))
    board.wait_for_function("sought.length > 0")
    assert board.evaluate("sought") == [pytest.approx(0.3, abs=1e-3)]
    assert plot(board).evaluate("(plot) => document.activeElement === plot")
    for key, frame in (("ArrowRight", 4), ("ArrowLeft", 3), ("PageDown", BAD), ("End", FRAMES - 1), ("Home", 0)):
        board.keyboard.press(key)
        expect_said(board, values[frame], f"0:00.{frame}0, frame {frame}")
    board.keyboard.press("Enter")
    assert board.evaluate("sought.at(-1)") == pytest.approx(0, abs=1e-3)
    board.locator(".textovsr-timeline select").select_option("blockiness")
    with table.open(newline="") as file:
        expected = next(csv.DictReader(file))["blockiness"]
    assert said(board)[0] == f"{float(expected):.3f}"
    assert complaints == []


def test_a_part_s_pictures_are_those_of_the_file(board: Page, run: Callable[..., dict[str, Any]]) -> None:
    part = ["OVSR_LoadVideo", 80, {"file": "spoilt.mkv", "start": 0.3}]
    run("OVSR_QualityReport", part, metrics="sharpness", window=0.1, worst=1)
    assert said(board)[1] == f"0:00.{BAD}0, frame {BAD - 3}"
    expect_picture(board, BAD)
    compared = board.get_by_label("Number of the frame")
    expect(compared).to_have_value("0")
    plot(board).press("Enter")
    assert board.evaluate("sought") == [pytest.approx((BAD - 3) / RATE, abs=1e-3)]  # from where the part begins
    expect(compared).to_have_value(str(BAD - 3))


def test_scores_of_clip_iqa_and_html_nodes(
    board: Page, run: Callable[..., dict[str, Any]], complaints: list[str]
) -> None:
    told = run("OVSR_CLIPIQAScore", prompts='sharp / blurry\na "b", c / d')
    assert [measure["heading"] for measure in told["measures"]] == ["all pairs", "sharp / blurry", 'a "b", c / d']
    expect_picture(board, int(said(board)[1].rsplit(" ", 1)[1]))
    values = []
    for measure in told["measures"]:
        board.locator(".textovsr-timeline select").select_option(measure["name"])
        values.append(float(said(board)[0]))
    assert values[0] == pytest.approx((values[1] + values[2]) / 2, abs=0.002)
    board.evaluate("async () => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', true)")
    try:
        inside = board.locator("[data-node-id] .textovsr-plot")
        expect(inside).to_be_visible()
        board.evaluate(DRAWN)
        before = board.evaluate("[...tested.pos]")
        inside.click()
        board.wait_for_function("sought.length > 0")
        assert len(board.evaluate("sought")) == 1
        assert board.evaluate("[...tested.pos]") == pytest.approx(before, abs=1)  # not dragged
    finally:
        board.evaluate("async () => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', false)")
    assert complaints == []


def test_images_have_a_plot_without_a_clock(board: Page, run: Callable[..., dict[str, Any]]) -> None:
    images = ["EmptyImage", 80, {"width": 48, "height": 40, "batch_size": 3}]
    told = run("OVSR_CLIPIQAScore", images)
    assert told["video"] is None
    assert said(board)[1] in ("frame 0", "frame 1", "frame 2")  # they are alike: any may be the worst by rounding
    expect(board.get_by_text("No pictures: these are images.")).to_be_visible()
    plot(board).press("Enter")
    assert board.evaluate("sought") == []


def test_a_table_that_is_gone_is_said_to_be_gone(board: Page, run: Callable[..., dict[str, Any]]) -> None:
    told = run("OVSR_QualityReport", metrics="sharpness")
    told["table"]["filename"] = "gone.csv"
    board.evaluate("(told) => tested.onExecuted({ timeline: [told] })", told)
    expect(board.get_by_text("gone.csv is not there any more")).to_be_visible()


def test_a_late_failure_does_not_replace_a_newer_run(board: Page, run: Callable[..., dict[str, Any]]) -> None:
    told = run("OVSR_QualityReport", metrics="sharpness")
    gone = {**told, "table": {**told["table"], "filename": "late.csv"}}
    late = held(board, r"/view\?.*late\.csv")
    with board.expect_response(lambda response: told["table"]["filename"] in response.url):
        board.evaluate(
            "(found) => { for (const each of found) tested.onExecuted({ timeline: [each] }); }", [gone, told]
        )
    release(board, late)
    expect(board.get_by_text("late.csv is not there any more")).to_have_count(0)
    expect(plot(board)).to_be_visible()


def test_hours_are_thinned_without_losing_a_dip(board: Page) -> None:
    """A single bad frame in three hours is drawn, found below the pointer, and the worst moment."""
    found = board.evaluate(
        f"""async () => {{
            {MODULE}
            const [rows, bad] = [270000, 123456];
            const line = (_, row) => `${{row}},${{row / 25}},0,,${{row === bad ? 1 : 9}}`;
            const lines = ["frame,seconds,shot,reference_seconds,q", ...Array.from({{ length: rows }}, line), ""];
            const began = performance.now();
            const read = table.readTable(lines.join("\\r\\n"));
            const values = read.columns.get("q");
            const points = table.thinned(read, values, 400);
            const moments = table.worstMoments(read, values, true);
            const near = table.rowsBetween(read, bad / 25 - 10, bad / 25 + 10);
            return {{ points: points.length, least: Math.min(...points.map((point) => point.least)),
                dips: points.filter((point) => point.least < 9).length, moment: moments[0].row,
                near: table.worstRow(values, true, ...near), took: performance.now() - began }};
        }}"""
    )
    assert found.pop("took") < 5000
    assert found == {"points": 400, "least": 1, "dips": 1, "moment": 123456, "near": 123456}
