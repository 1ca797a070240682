"""Diffusion Restore on the canvas: widgets of the other system go, their values stay, and so does the node's room."""

from typing import Any

import pytest
from playwright.sync_api import Page

OURS = {
    "MGLD-VSR": ["motion_guidance", "fidelity", "least_side"],
    "DiffVSR": ["cfg", "noise_level"],
    "STAR (heavy)": ["cfg", "mode"],
    "STAR (light)": ["cfg", "mode"],
    "STAR-CogVideoX": ["cfg"],
    "SDATC": ["motion_guidance", "fidelity"],
}
OWNED = {name for names in OURS.values() for name in names}
CHANGED = {
    "motion_guidance": 0.25,
    "fidelity": 0.6,
    "least_side": 256,
    "cfg": 2.5,
    "noise_level": 33,
    "mode": "normal",
    "seed": 7,
}
BUILD = """(values) => {
    app.graph.clear();
    app.canvas.ds.reset();
    app.canvas.ds.offset = [0, 60];
    window.widget = (name, node = tested) => node.widgets.find((widget) => widget.name === name);
    window.tested = LiteGraph.createNode("OVSR_DiffusionRestore");
    tested.pos = [500, 40];
    app.graph.add(tested);
    for (const [name, value] of Object.entries(values)) widget(name).value = value;
}"""
DRAWN = """() => {
    app.canvas.draw(true, true);  // lays the widgets out
    // The newest front end draws the slot alone where a widget is connected.
    const drawn = tested.widgets.filter((widget) => tested.isWidgetVisible(widget) || widget.connectionSuppressed);
    const rows = drawn.map(({ name, y, computedHeight }) => ({ name, y, bottom: y + computedHeight }));
    return { rows, height: tested.size[1], least: tested.computeSize()[1] };
}"""
CHOOSE = """(system) => {
    const chosen = widget("system");
    chosen.setValue(system, { e: new MouseEvent("click"), node: tested, canvas: app.canvas });
}"""
PROMPT = "async () => (await app.graphToPrompt()).output[tested.id].inputs"


@pytest.fixture
def node(board: Page) -> Page:
    """One Diffusion Restore on an empty canvas, with values that are no defaults."""
    board.evaluate(BUILD, CHANGED)
    return board


def names(page: Page) -> list[str]:
    """What is drawn, from the top; nothing overlaps, no place is left free, the last one is inside the node."""
    drawn: dict[str, Any] = page.evaluate(DRAWN)
    rows = drawn["rows"]
    assert [row["bottom"] for row in rows[:-1]] == [row["y"] for row in rows[1:]]
    assert rows[-1]["bottom"] <= drawn["height"]
    return [row["name"] for row in rows]


def assert_shown(page: Page, system: str) -> None:
    """The widgets of one system are drawn, those of the other are not, and the rest is there."""
    shown = names(page)
    assert [name for name in shown if name in OWNED] == OURS[system]
    at = shown.index("seed")
    assert shown[at : at + 3] == ["seed", "control_after_generate", "steps"]
    assert {"system", "caption", "published", "scale", "codec", "tile", "options"} <= set(shown)


def height(page: Page) -> float:
    """Of the node."""
    return float(page.evaluate("tested.size[1]"))


def test_the_chosen_systems_widgets_are_shown(node: Page, complaints: list[str]) -> None:
    assert_shown(node, "MGLD-VSR")
    first = height(node)
    node.evaluate(CHOOSE, "DiffVSR")
    assert_shown(node, "DiffVSR")
    assert height(node) == first - 24  # of one widget
    node.evaluate(CHOOSE, "MGLD-VSR")
    assert_shown(node, "MGLD-VSR")
    assert height(node) == first
    assert complaints == []


def test_a_click_in_the_list_chooses(node: Page) -> None:
    place = node.evaluate(
        """() => {
            app.canvas.draw(true, true);
            const at = [tested.pos[0] + tested.size[0] / 2, tested.pos[1] + widget("system").y + 10];
            const { left, top } = app.canvas.canvas.getBoundingClientRect();
            const [x, y] = app.canvas.ds.convertOffsetToCanvas(at);
            return [left + x, top + y];
        }"""
    )
    node.mouse.click(*place)
    node.get_by_text("DiffVSR", exact=True).last.click()
    node.wait_for_function("widget('system').value === 'DiffVSR'")
    assert_shown(node, "DiffVSR")


def test_hidden_widgets_keep_their_values(node: Page) -> None:
    """In the prompt and by position in saved workflows."""
    before = node.evaluate(PROMPT)
    saved = node.evaluate("tested.serialize().widgets_values")
    assert {name: before[name] for name in CHANGED} == CHANGED
    node.evaluate(CHOOSE, "DiffVSR")
    assert node.evaluate(PROMPT) == before | {"system": "DiffVSR"}
    assert node.evaluate("tested.serialize().widgets_values") == ["DiffVSR", *saved[1:]]


@pytest.mark.parametrize("system", OURS)
def test_a_saved_workflow_opens_as_it_was(system: str, node: Page) -> None:
    node.evaluate(CHOOSE, system)
    node.evaluate("tested.setSize([420, tested.size[1] + 90])")
    names(node)
    before = node.evaluate("app.graph.serialize()")
    prompt = node.evaluate(PROMPT)
    other = next(name for name in OURS if name != system)
    node.evaluate(CHOOSE, other)
    node.evaluate("async (graph) => { await app.loadGraphData(graph); window.tested = app.graph.nodes[0]; }", before)
    assert_shown(node, system)
    assert node.evaluate("[...tested.size]") == before["nodes"][0]["size"]
    assert node.evaluate("tested.serialize().widgets_values") == before["nodes"][0]["widgets_values"]
    assert node.evaluate(PROMPT) == prompt


@pytest.mark.parametrize("system", OURS)
def test_room_that_a_user_made_stays(system: str, node: Page) -> None:
    node.evaluate(CHOOSE, system)
    node.evaluate("tested.setSize([420, tested.computeSize()[1] + 90])")
    node.evaluate(CHOOSE, next(name for name in OURS if name != system))
    size = node.evaluate("[...tested.size]")
    assert size == [420, node.evaluate("tested.computeSize()[1]") + 90]


def test_a_link_reaches_the_widget_that_is_seen(node: Page) -> None:
    """Slots of hidden widgets do not lie over those of the next one."""
    node.evaluate(CHOOSE, "DiffVSR")
    for name in names(node):
        found = node.evaluate(
            """(name) => {
                const at = tested.inputs.findIndex((input) => input.widget?.name === name);
                const found = at < 0 ? null : tested.getInputOnPos(tested.getInputPos(at)).name;
                return found;
            }""",
            name,
        )
        assert found in (None, name)


def test_a_connected_widget_is_not_hidden(node: Page) -> None:
    node.evaluate(
        """() => {
            const source = LiteGraph.createNode("PrimitiveFloat");
            app.graph.add(source);
            source.connect(0, tested, tested.inputs.findIndex((input) => input.name === "fidelity"));
        }"""
    )
    node.evaluate(CHOOSE, "DiffVSR")
    assert [name for name in names(node) if name in OURS["MGLD-VSR"]] == ["fidelity"]
    node.evaluate("tested.disconnectInput(tested.inputs.findIndex((input) => input.name === 'fidelity'))")
    assert_shown(node, "DiffVSR")


def test_the_seed_still_changes_after_a_run(node: Page) -> None:
    node.evaluate(CHOOSE, "DiffVSR")
    node.evaluate("widget('control_after_generate').value = 'increment'")
    node.evaluate("for (const each of tested.widgets) each.afterQueued?.({})")
    assert node.evaluate("widget('seed').value") == CHANGED["seed"] + 1
    assert node.evaluate("widget('noise_level').value") == CHANGED["noise_level"]


def test_nodes_drawn_as_html_show_what_is_needed(node: Page, complaints: list[str]) -> None:
    """The newer of the host's two ways to draw nodes, which a user may have chosen: nothing is out of reach there.

    The pinned front end shows all widgets, the newest one those of the system.
    """
    node.evaluate("async () => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', true)")
    try:
        body = node.locator("[data-node-id]")
        for system in reversed(OURS):
            node.evaluate(CHOOSE, system)
            for name in OURS[system]:
                body.get_by_text(name, exact=True).wait_for()
    finally:
        node.evaluate("async () => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', false)")
    assert complaints == []
