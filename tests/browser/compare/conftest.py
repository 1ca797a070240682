"""A comparer on the canvas, with numbered clips to compare."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from textovsr.tests.browser.gestures import settle
from textovsr.tests.helpers.clips import write_clip
from textovsr.tests.helpers.comparer import CLIPS, at
from textovsr.tools.comfy_server import ComfyServer

BUILD = """(files) => {
    app.graph.clear();
    app.canvas.ds.reset();
    app.canvas.ds.offset = [0, 60];
    window.tested = LiteGraph.createNode("OVSR_CompareVideos");
    tested.pos = [620, 40];
    app.graph.add(tested);
    files.forEach((file, place) => {
        const loader = LiteGraph.createNode("OVSR_LoadVideo");
        loader.pos = [80, 40 + 90 * place];
        app.graph.add(loader);
        loader.widgets.find((widget) => widget.name === "file").value = file;
        loader.connect(0, tested, place);
        loader.collapse();
    });
    window.comparer = () => tested.widgets.find((widget) => widget.name === "comparison").comparer;
    if (window.ended !== undefined) return;
    for (const end of ["execution_success", "execution_error", "execution_interrupted"])
        app.api.addEventListener(end, () => ended++);
}"""
RUN = "async () => { window.ended = 0; await app.queuePrompt(0); }"


@pytest.fixture(scope="module", autouse=True)
def _inputs(server: ComfyServer) -> None:
    for name, clip in CLIPS.items():
        write_clip(server.base / "input" / name, clip)


@pytest.fixture
def compare(board: Page) -> Callable[..., Page]:
    """Run a comparison of files and wait for its first picture."""

    def run(*files: str) -> Page:
        board.evaluate(BUILD, list(files))
        board.evaluate(RUN)
        board.wait_for_function("window.ended === 1")
        board.wait_for_function("!!tested.widgets.find((widget) => widget.name === 'comparison')")
        at(board, 0)
        settle(board)
        board.locator(".textovsr-compare").focus()
        return board

    return run
