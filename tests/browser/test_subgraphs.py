"""The subgraph blueprints: offered by the host, opened from the search of nodes, made of nodes that take them."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, TimeoutError, expect

ROOT = Path(__file__).resolve().parents[2]
BLUEPRINTS = sorted((ROOT / "subgraphs").glob("*.json"))
SLOW = 120_000
ADDED = "app.graph.nodes.length === 1 && app.graph.nodes[0].isSubgraphNode()"


def prompt(page: Page) -> dict[str, Any]:
    """What would be queued: subgraphs are taken apart."""
    return dict(page.evaluate("async () => (await app.graphToPrompt()).output"))


def searched(page: Page) -> Locator:
    """The field of the search of nodes, opened: a page that was too busy takes a double click for two single ones."""
    field = page.get_by_placeholder("Search Nodes").or_(page.get_by_placeholder("Add a node")).first
    for _ in range(4):
        page.mouse.dblclick(700, 700)
        try:
            field.wait_for(timeout=10_000)
        except TimeoutError:
            continue
        return field
    raise AssertionError("Four double clicks on the empty canvas opened no search.")


def add(page: Page, name: str) -> None:
    """Type a name and take the first of what is found, again if the list was too slow to follow."""
    for _ in range(4):
        page.evaluate("app.graph.clear()")
        search = searched(page)
        search.fill(name)
        expect(page.get_by_text(name).first).to_be_visible(timeout=SLOW)
        page.wait_for_timeout(500)  # the list follows what is typed
        search.press("Enter")
        with contextlib.suppress(TimeoutError):
            page.wait_for_function(ADDED, timeout=10_000)
            return
    raise AssertionError(f"Four times, the first of what was found was not {name}.")


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
