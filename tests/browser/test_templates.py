"""The example workflows in ComfyUI's own browser of templates: shown with their thumbnails, opened by a click."""

import json
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted(file.stem for file in (ROOT / "workflows").glob("*.json"))


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_has_a_thumbnail(name: str) -> None:
    thumbnail = ROOT / "workflows" / f"{name}.jpg"
    assert thumbnail.stat().st_size < 60_000
    with Image.open(thumbnail) as picture:
        assert (picture.format, picture.size) == ("JPEG", (800, 247))


def test_every_template_is_shown_and_opens(canvas: Page, complaints: list[str]) -> None:
    """The host serves the first folder of a pack that has one of five names, ``examples`` before ``workflows``."""
    canvas.set_viewport_size({"width": 1600, "height": 2400})  # what is not in view is not loaded
    templates = canvas.get_by_text("Templates", exact=True).first
    templates.click()
    loaded = "(names) => names.every((name) => document.querySelector(`img[alt='${name}']`)?.naturalWidth === 800)"
    canvas.wait_for_function(loaded, arg=WORKFLOWS)
    for name in WORKFLOWS:
        graph = json.loads((ROOT / "workflows" / f"{name}.json").read_text("utf-8"))
        wanted = sorted(node["type"] for node in graph["nodes"])
        canvas.get_by_text(name, exact=True).first.click()
        canvas.wait_for_function(
            "(wanted) => JSON.stringify(app.graph.nodes.map(({ type }) => type).sort()) === JSON.stringify(wanted)",
            arg=wanted,
        )
        assert canvas.evaluate("app.graph.nodes.filter(({ has_errors }) => has_errors).length") == 0
        templates.click()
    assert complaints == []
