"""What a run leaves on the canvas: links to a report's files; and what that leaves alone."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from textovsr.tests.helpers.spoilt import FRAMES, write
from textovsr.tools.comfy_server import ComfyServer

BUILD = """([type, settings]) => {
    app.graph.clear();
    app.canvas.ds.reset();
    app.canvas.ds.scale = 0.7;
    const add = (type, x, settings) => {
        const node = LiteGraph.createNode(type);
        node.pos = [x, 300];
        app.graph.add(node);
        for (const [name, value] of Object.entries(settings)) widget(node, name).value = value;
        return node;
    };
    window.widget = (node, name) => node.widgets.find((widget) => widget.name === name);
    const loader = add("OVSR_LoadVideo", 80, { file: "spoilt.mkv" });
    window.tested = add(type, 500, settings);
    loader.connect(0, tested, 0);
}"""
LISTEN = """(words) => {
    window.heard = false;
    const watch = new MutationObserver(() => {
        if (!document.body.innerText.includes(words)) return;
        window.heard = true;
        watch.disconnect();
    });
    watch.observe(document.body, { childList: true, subtree: true, characterData: true });
}"""
"""What is said in passing may be gone before a busy machine looks for it."""
PROMPT = "async () => (await app.graphToPrompt()).output[tested.id]"


@pytest.fixture(scope="module", autouse=True)
def _inputs(server: ComfyServer) -> None:
    """A short video."""
    write(server.base / "input" / "spoilt.mkv", spoilt=True)


@pytest.fixture
def run(board: Page) -> Callable[[], dict[str, Any]]:
    """Press Run and wait for the end; returns what the node under test showed."""
    board.evaluate(
        """() => {
            window.shown = new Map();
            if (window.ended !== undefined) return;
            window.ended = 0;
            app.api.addEventListener("executed", ({ detail }) => shown.set(String(detail.node), detail.output));
            for (const end of ["execution_success", "execution_error", "execution_interrupted"])
                app.api.addEventListener(end, () => ended++);
        }"""
    )

    def press() -> dict[str, Any]:
        board.evaluate("async () => { window.ended = 0; await app.queuePrompt(0); }")
        board.wait_for_function("window.ended === 1")
        return dict(board.evaluate("() => shown.get(String(tested.id))"))

    return press


def build(page: Page, kind: str, **settings: Any) -> dict[str, Any]:
    """LoadVideo and one node behind it; returns how that node is queued."""
    page.evaluate(BUILD, [kind, settings])
    return dict(page.evaluate(PROMPT))


def test_a_report_opens_and_its_table_is_downloaded(
    board: Page, run: Callable[[], dict[str, Any]], complaints: list[str]
) -> None:
    before = build(board, "OVSR_QualityReport", measures="quick", filename_prefix="q/shown")
    files = run()["files"]
    page, table = board.locator("a[href*='.html']"), board.locator("a[href*='.csv']")
    expect(page).to_have_text(f"Open {files[0]['filename']}")
    with board.expect_popup() as opened:
        page.click()
    expect(opened.value.locator("h1")).to_have_text("Quality of spoilt.mkv")
    assert opened.value.url.startswith("blob:")
    picture = opened.value.locator("figure img").first
    assert picture.evaluate("async (image) => { await image.decode(); return image.naturalWidth; }") > 0
    opened.value.close()
    with board.expect_download() as download:
        table.click()
    assert download.value.suggested_filename == files[1]["filename"]
    with download.value.path().open(newline="") as rows:
        assert len(list(csv.DictReader(rows))) == FRAMES
    assert board.evaluate(PROMPT) == before
    run()
    expect(page).to_have_count(1)  # of the newest run
    assert complaints == []


def test_a_page_cannot_run_scripts(board: Page, server: ComfyServer) -> None:
    """The server refuses to show pages because they would act in its name."""
    build(board, "OVSR_QualityReport")
    (server.base / "output" / "evil.html").write_text(
        "<title>tame</title><script>document.title = 'wild'</script><h1 onclick='0'>here</h1>"
        "<img src='x' onerror='document.title = \"wild\"'>",
        "utf-8",
    )
    files = [{"filename": "evil.html", "subfolder": "", "type": "output"}]
    board.evaluate("(files) => tested.onExecuted({ files })", files)
    with board.expect_popup() as opened:
        board.locator("a[href*='evil.html']").click()
    expect(opened.value.locator("h1")).to_have_text("here")
    opened.value.wait_for_load_state("load")
    assert opened.value.title() == "tame"
    opened.value.close()


def test_a_page_that_is_gone_is_said_to_be_gone(board: Page) -> None:
    build(board, "OVSR_QualityReport")
    files = [{"filename": "gone.html", "subfolder": "", "type": "output"}]
    board.evaluate("(files) => tested.onExecuted({ files })", files)
    board.evaluate(LISTEN, "output/gone.html cannot be opened")
    with board.expect_popup():
        board.locator("a[href*='gone.html']").click()
    board.wait_for_function("window.heard")


def test_results_come_back_with_the_outputs(board: Page) -> None:
    """As they do when a workflow is taken from the queue's history."""
    build(board, "OVSR_QualityReport")
    graph = board.evaluate("app.graph.serialize()")
    files = [{"filename": "old.csv", "subfolder": "q", "type": "output"}]
    board.evaluate("async (graph) => app.loadGraphData(graph)", graph)
    expect(board.locator("a[href*='old.csv']")).to_have_count(0)
    number = next(node["id"] for node in graph["nodes"] if node["type"] == "OVSR_QualityReport")
    board.evaluate("(outputs) => { app.nodeOutputs = outputs; }", {str(number): {"files": files}, "999": {}})
    expect(board.locator("a[href*='old.csv']")).to_have_text("Download old.csv")


RESULTS = {
    "redo_worst_moment": {"files": [{"filename": "page.html", "subfolder": "", "type": "output"}]},
    "caption_and_upscale": {"text": ["WEBVTT"]},
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_workflow_saved_with_results_opens_as_it_was(name: str, board: Page, root: Path) -> None:
    """Values are saved by position: widgets of results must not shift them."""
    open_file = "async (graph) => app.loadGraphData(graph)"
    values = "() => app.graph.serialize().nodes.map((node) => [node.id, node.widgets_values ?? null])"
    count = "() => app.graph.nodes.flatMap((node) => node.widgets ?? []).length"
    board.evaluate(open_file, json.loads((root / "workflows" / f"{name}.json").read_text("utf-8")))
    before, widgets = board.evaluate(values), board.evaluate(count)
    ours = "['OVSR_QualityReport', 'OVSR_LLaVACaption'].includes(node.type)"
    board.evaluate(f"(output) => app.graph.nodes.find((node) => {ours}).onExecuted(output)", RESULTS[name])
    assert board.evaluate(count) == widgets + 1
    assert board.evaluate(values) == before
    board.evaluate(open_file, board.evaluate("app.graph.serialize()"))
    assert board.evaluate(values) == before
