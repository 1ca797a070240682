"""The subgraph blueprints: offered by the host, opened from the search of nodes, made of nodes that take them."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

ROOT = Path(__file__).resolve().parents[2]
BLUEPRINTS = sorted((ROOT / "subgraphs").glob("*.json"))
SLOW = 120_000
ADDED = "app.graph.nodes.length === 1 && app.graph.nodes[0].isSubgraphNode()"


def prompt(page: Page) -> dict[str, Any]:
    """What would be queued: subgraphs are taken apart."""
    return dict(page.evaluate("async () => (await app.graphToPrompt()).output"))


@pytest.mark.parametrize("file", BLUEPRINTS, ids=lambda file: file.stem)
def test_a_blueprint_is_found_and_added(file: Path, canvas: Page, complaints: list[str]) -> None:
    """As a user does it: a double click, a name, the first of what is found."""
    canvas.evaluate("app.graph.clear()")
    canvas.mouse.dblclick(700, 700)
    search = canvas.get_by_placeholder("Search Nodes").or_(canvas.get_by_placeholder("Add a node")).first
    search.fill(file.stem)
    expect(canvas.get_by_text(file.stem).first).to_be_visible(timeout=SLOW)
    canvas.wait_for_timeout(500)  # the list follows what is typed
    search.press("Enter")
    canvas.wait_for_function(ADDED, timeout=SLOW)
    inside = json.loads(file.read_text("utf-8"))["definitions"]["subgraphs"][0]["nodes"]
    assert sorted(node["class_type"] for node in prompt(canvas).values()) == sorted(node["type"] for node in inside)
    assert complaints == []


@pytest.mark.parametrize("file", BLUEPRINTS, ids=lambda file: file.stem)
def test_a_blueprint_has_every_input(file: Path, canvas: Page) -> None:
    """Once what comes from outside is connected, nothing that a node requires is missing."""
    blueprint = json.loads(file.read_text("utf-8"))
    canvas.evaluate("async (graph) => app.loadGraphData(graph)", blueprint)
    known = canvas.evaluate("async () => (await fetch('/object_info')).json()")
    outside = {each["name"] for each in blueprint["nodes"][0]["inputs"] if "widget" not in each}
    missing = []
    for node in prompt(canvas).values():
        missing += set(known[node["class_type"]]["input"]["required"]) - set(node["inputs"])
    assert len(set(missing)) <= len(outside)
    assert bool(missing) == bool(outside)
