"""What users do with the mouse: nodes added from the library, a run begun and taken back."""

import json
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from textovsr.tools.comfy_server import ComfyServer

ROOT = Path(__file__).resolve().parents[2]
SCHEMA: dict[str, Any] = json.loads((ROOT / "tests" / "host" / "schema.json").read_text("utf-8"))


def test_every_node_is_added_from_the_library(canvas: Page, complaints: list[str]) -> None:
    names = canvas.evaluate(
        """(ids) => {
            app.graph.clear();
            return Object.fromEntries(ids.map((id) => [id, LiteGraph.registered_node_types[id].title]));
        }""",
        list(SCHEMA),
    )
    canvas.get_by_text("Nodes", exact=True).first.click()
    search = canvas.get_by_placeholder(re.compile("Search")).first
    for node, name in names.items():
        found = canvas.locator(".comfy-vue-side-bar-container, .side-bar-panel").get_by_text(name, exact=True).first
        search.fill("")
        expect(found).to_be_hidden()  # what is listed next is of this name, and stays
        search.fill(name)
        found.click()
        canvas.wait_for_function("(id) => app.graph.nodes.some(({ type }) => type === id)", arg=node)
    assert set(SCHEMA) <= set(canvas.evaluate("app.graph.nodes.map(({ type }) => type)"))
    assert complaints == []


def test_a_run_is_taken_back(canvas: Page, server: ComfyServer, complaints: list[str]) -> None:
    """With the shipped weights, which take long enough; nothing half-made stays under a result's name."""
    graph = json.loads((ROOT / "workflows" / "upscale_clip.json").read_text("utf-8"))
    canvas.evaluate("async (graph) => app.loadGraphData(graph, true, true, 'upscale_clip')", graph)
    canvas.evaluate(
        """() => {
            window.ends = [];
            window.told = 0;
            for (const end of ["execution_success", "execution_error", "execution_interrupted"])
                app.api.addEventListener(end, () => ends.push(end));
            app.api.addEventListener("progress_text", () => told++);
        }"""
    )
    before = set((server.base / "output").rglob("*.mp4"))
    canvas.get_by_role("button", name="Run", exact=True).first.click()
    canvas.wait_for_function("told > 0")
    canvas.get_by_role("button", name=re.compile("Cancel|Interrupt|Stop", re.IGNORECASE)).first.click()
    canvas.wait_for_function("ends.length > 0")
    assert canvas.evaluate("ends") == ["execution_interrupted"]
    assert set((server.base / "output").rglob("*.mp4")) == before
    assert complaints == []
