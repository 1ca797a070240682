"""The subgraph blueprints: offered by the host, opened from the search of nodes, made of nodes that take them."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from textovsr.tests.browser.gestures import double_click

ROOT = Path(__file__).resolve().parents[2]
BLUEPRINTS = sorted((ROOT / "subgraphs").glob("*.json"))
KNOWN = """(name) => {
    const { $pinia } = document.getElementById("vue-app").__vue_app__.config.globalProperties;
    return $pinia._s.get("nodeDef").visibleNodeDefs.some((def) => def.display_name === name);
}"""
"""Whether the host has a node to offer: blueprints come after all else, and no search that is open learns of them."""
TAKEN_BY_ENTER = "[role=option]:is(.p-focus, [data-highlighted], [aria-selected=true])"
ADDED = "app.graph.nodes.length === 1 && app.graph.nodes[0].isSubgraphNode()"


def prompt(page: Page) -> dict[str, Any]:
    """What would be queued: subgraphs are taken apart."""
    return dict(page.evaluate("async () => (await app.graphToPrompt()).output"))


def add(page: Page, name: str) -> None:
    """Double click the empty canvas, type a name, take the first of what is found."""
    page.wait_for_function(KNOWN, arg=name)
    page.evaluate("app.graph.clear()")
    double_click(page, 700, 700)
    search = page.get_by_placeholder("Search Nodes").or_(page.get_by_placeholder("Add a node")).first
    search.fill(name)
    expect(page.locator(TAKEN_BY_ENTER).first).to_contain_text(name)
    search.press("Enter")
    page.wait_for_function(ADDED)


@pytest.mark.parametrize("file", BLUEPRINTS, ids=lambda file: file.stem)
def test_a_blueprint_is_found_and_added(file: Path, canvas: Page, complaints: list[str]) -> None:
    """As a user does it: a double click, a name, the first of what is found."""
    add(canvas, file.stem)
    inside = json.loads(file.read_text("utf-8"))["definitions"]["subgraphs"][0]["nodes"]
    assert sorted(node["class_type"] for node in prompt(canvas).values()) == sorted(node["type"] for node in inside)
    assert complaints == []


@pytest.mark.parametrize("file", BLUEPRINTS, ids=lambda file: file.stem)
def test_a_blueprint_has_every_input(file: Path, board: Page) -> None:
    """Once what comes from outside is connected, nothing that a node requires is missing."""
    blueprint = json.loads(file.read_text("utf-8"))
    board.evaluate("async (graph) => app.loadGraphData(graph)", blueprint)
    known = board.evaluate("async () => (await fetch('/object_info')).json()")
    outside = {each["name"] for each in blueprint["nodes"][0]["inputs"] if "widget" not in each}
    missing = []
    for node in prompt(board).values():
        missing += set(known[node["class_type"]]["input"]["required"]) - set(node["inputs"])
    assert len(set(missing)) <= len(outside)
    assert bool(missing) == bool(outside)
