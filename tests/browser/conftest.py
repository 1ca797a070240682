"""A real Chromium on a real ComfyUI canvas with the pack installed."""

import re
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect, sync_playwright

from textovsr.tests.browser.gestures import SLOW, open_canvas
from textovsr.tests.helpers.networks import save_tiny
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
SCREENSHOTS = Path(__file__).resolve().parents[2] / ".textovsr" / "screenshots"
"""Where the last sight of every test is kept."""


@pytest.fixture(scope="package")
def server(
    comfyui: Path, root: Path, phone_clip: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComfyServer]:
    """A running ComfyUI with the pack, the phone clip, and weights that take no time."""
    base = prepare_base(tmp_path_factory.mktemp("canvas"), root, [phone_clip])
    (base / "models" / "textovsr").mkdir(parents=True)
    save_tiny(base / "models" / "textovsr" / "tiny.safetensors")
    with comfy_server(Path(sys.executable), comfyui, base, log=base / "comfyui.log") as running:
        yield running


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """One Chromium for all tests."""
    with sync_playwright() as playwright:
        expect.set_options(timeout=SLOW)
        launched = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS), timeout=SLOW)
        yield launched
        launched.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the page's scripts threw in this test, and what of ours its console calls an error."""
    return []


@pytest.fixture
def canvas(
    browser: Browser, server: ComfyServer, complaints: list[str], request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A fresh page with the canvas ready."""
    with closing(new_canvas(browser, server)) as page:
        yield from watched(page, complaints, request.node.name)


@pytest.fixture(scope="module")
def shared_page(browser: Browser, server: ComfyServer) -> Iterator[Page]:
    """One page for all tests of a module; opening it takes longer than most of them."""
    with closing(new_canvas(browser, server)) as page:
        yield page


@pytest.fixture
def board(shared_page: Page, complaints: list[str], request: pytest.FixtureRequest) -> Iterator[Page]:
    """The module's page, for tests that begin with a graph of their own and leave the page's settings as they were."""
    shared_page.mouse.move(0, 0)
    yield from watched(shared_page, complaints, request.node.name)


def new_canvas(browser: Browser, server: ComfyServer) -> Page:
    """A new page with the canvas ready; whatever is waited for in it, or in pages that it opens, may take long."""
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.context.set_default_timeout(SLOW)
    open_canvas(page, lambda: page.goto(server.address))
    return page


def watched(page: Page, complaints: list[str], name: str) -> Iterator[Page]:
    """Listen to what a page throws during a test; what it shows in the end is kept as a picture."""

    def hear(error: Error) -> None:
        complaints.append(str(error))

    def read(message: ConsoleMessage) -> None:
        ours = "textovsr" in message.text.lower() or "OVSR_" in message.text
        if message.type == "error" and ours and "api.comfy.org" not in message.text:  # which the host may not ask
            complaints.append(message.text)

    page.on("pageerror", hear)
    page.on("console", read)
    yield page
    page.remove_listener("pageerror", hear)
    page.remove_listener("console", read)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    file = re.sub(r"[^\w-]+", "_", name)
    page.screenshot(path=SCREENSHOTS / f"{file}.png")
