"""A real Chromium on a real ComfyUI canvas with the pack installed."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from textovsr.tools.comfy_server import ComfyServer, comfy_server, prepare_base

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
READY = "!!(window.app?.extensionManager && window.app.graph && LiteGraph.registered_node_types['OVSR_SaveVideo'])"
SLOW = 120_000
"""Milliseconds that a busy machine may take."""

SCREENSHOTS = Path(__file__).resolve().parents[2] / ".textovsr" / "screenshots"
"""Where the last sight of every test is kept."""


@pytest.fixture(scope="module")
def server(
    comfyui: Path, root: Path, phone_clip: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComfyServer]:
    """A running ComfyUI with the pack and the phone clip."""
    base = prepare_base(tmp_path_factory.mktemp("canvas"), root, [phone_clip])
    with comfy_server(Path(sys.executable), comfyui, base, log=base / "comfyui.log") as running:
        yield running


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """One Chromium for all tests."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the page's scripts threw."""
    return []


@pytest.fixture
def canvas(
    browser: Browser, server: ComfyServer, complaints: list[str], request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A fresh page with the canvas ready; what it shows in the end is kept as a picture."""
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(server.address)
    page.wait_for_function(READY, timeout=SLOW)
    yield page
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^\w-]+", "_", request.node.name)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
    page.close()
