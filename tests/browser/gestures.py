"""What tests do with a page, in a way that does not depend on how fast it is."""

import re
import time
from collections.abc import Callable

from playwright.sync_api import Page, Route

SLOW = 600_000
"""Milliseconds that a busy machine may take for anything; who waits for an event loses nothing by a long one."""

READY = "!!(window.app?.extensionManager && app.graph && LiteGraph.registered_node_types['OVSR_SaveVideo'])"
MODELS = "/experiment/models"
"""What the host asks its server for once the canvas stands: after its nodes, its listeners and the first graph."""

SETTLED = """async () => {
    await document.fonts.ready;
    const place = () => JSON.stringify(comparer().canvas.getBoundingClientRect());
    for (let before = ""; before !== place() || comparer().canvas.getBoundingClientRect().height < 100; ) {
        before = place();
        for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
    }
}"""
DRAWN = "async () => { for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame); }"


def open_canvas(page: Page, load: Callable[[], object]) -> None:
    """Let a page load the canvas, and wait until the host has put its own first graph on it.

    Earlier it would replace a test's graph, and there would be nobody to hear a double click.
    """
    with page.expect_response(lambda response: response.url.endswith(MODELS)):
        load()
    page.wait_for_function(READY)
    page.evaluate(DRAWN)


def double_click(page: Page, x: float, y: float) -> None:
    """Click twice, a tenth of a second apart by the mouse's clock, however late a busy page hears of it."""
    page.mouse.move(x, y)
    session = page.context.new_cdp_session(page)
    began = time.time() - 0.2
    for count in (1, 2):
        for kind, after in (("mousePressed", 0.0), ("mouseReleased", 0.05)):
            at = began + 0.1 * (count - 1) + after
            event = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": count, "timestamp": at}
            session.send("Input.dispatchMouseEvent", event)
    session.detach()


def short_press(page: Page, digit: str, meanwhile: Callable[[], object] | None = None) -> None:
    """Press a key for a twentieth of a second by the keyboard's clock; ``meanwhile`` it is down."""
    session = page.context.new_cdp_session(page)
    began = time.time() - 0.2
    key = {"key": digit, "code": f"Digit{digit}", "windowsVirtualKeyCode": ord(digit)}
    session.send("Input.dispatchKeyEvent", {"type": "keyDown", "text": digit, "timestamp": began, **key})
    if meanwhile:
        meanwhile()
    session.send("Input.dispatchKeyEvent", {"type": "keyUp", "timestamp": began + 0.05, **key})
    session.detach()


def settle(page: Page) -> None:
    """Wait until the comparer that a test calls ``comparer()`` stands where it stays."""
    page.evaluate(SETTLED)


def held(page: Page, address: str) -> list[Route]:
    """Hold back the first request from now on whose address matches; it will be in the list."""
    late: list[Route] = []
    page.route(re.compile(address), lambda route: route.continue_() if late else late.append(route))
    return late


def release(page: Page, late: list[Route]) -> None:
    """Let the held request go, and the page see the answer."""
    (route,) = late
    with page.expect_response(lambda response: response.request == route.request):
        route.continue_()
    page.evaluate(DRAWN)
    page.unroute_all()
