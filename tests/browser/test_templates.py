"""The example workflows in ComfyUI's own browser of templates: shown with their thumbnails, opened by a click."""

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted(file.stem for file in (ROOT / "workflows").glob("*.json"))
SLOW = 60_000


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_has_a_thumbnail(name: str) -> None:
    thumbnail = ROOT / "workflows" / f"{name}.jpg"
    assert thumbnail.stat().st_size < 60_000
    with Image.open(thumbnail) as picture:
        assert (picture.format, picture.size) == ("JPEG", (800, 247))


def test_the_templates_are_shown_and_open(canvas: Page) -> None:
    """The host serves the first folder of a pack that has one of five names, ``examples`` before ``workflows``."""
    canvas.set_viewport_size({"width": 1600, "height": 2400})  # what is not in view is not loaded
    canvas.get_by_text("Templates", exact=True).first.click()
    loaded = "(names) => names.every((name) => document.querySelector(`img[alt='${name}']`)?.naturalWidth === 800)"
    canvas.wait_for_function(loaded, arg=WORKFLOWS, timeout=SLOW)
    canvas.get_by_text("describe_and_upscale", exact=True).first.click()
    canvas.wait_for_function("app.graph.nodes.some((node) => node.type === 'OVSR_DegradationText')", timeout=SLOW)
