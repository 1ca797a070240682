"""The comparer's picture on the canvas: lockstep, divider, zoom, difference."""

import re
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from textovsr.tests.browser.gestures import short_press
from textovsr.tests.helpers.comparer import FRAMES, GREEN, at, is_green, number_in, picture, seen, whole
from textovsr.tools.comfy_server import ComfyServer


def test_steps_show_the_same_numbered_frame_of_both(compare: Callable[..., Page], complaints: list[str]) -> None:
    page = compare("cmp_a.mp4", "cmp_b.mkv")
    where = 0
    for key, step in ((".", 1), ("ArrowRight", 1), ("Shift+ArrowRight", 10), (",", -1), ("ArrowLeft", -1), ("End", 99)):
        where = min(where + step, FRAMES - 1)
        page.keyboard.press(key)
        at(page, where)
        assert number_in(picture(page)) == where
        first, second = whole(page, "1"), whole(page, "2")
        assert (number_in(first), number_in(second)) == (where, where)
        assert not is_green(first).any()
        assert is_green(second).any()
    page.keyboard.press("Home")
    at(page, 0)
    page.keyboard.press(",")
    at(page, 0)
    box = page.get_by_label("Number of the frame")
    box.fill("37")
    box.press("Enter")
    at(page, 37)
    assert number_in(picture(page)) == 37
    expect(page.locator(".textovsr-compare output")).to_have_text(re.compile(r"of 49 · 0:01\.480"))
    assert complaints == []


def test_the_divider_moves_what_is_drawn(compare: Callable[..., Page]) -> None:
    page = compare("cmp_a.mp4", "cmp_b.mkv")
    page.evaluate("comparer().player.goTo(47)")  # 0b101111: white but for the fifth block and the last two
    at(page, 47)

    def edge() -> int:
        """Where the second video begins, in columns of the canvas."""
        green = np.flatnonzero(is_green(seen(page)))
        return int(green[0])

    box = page.locator(".textovsr-compare canvas").bounding_box()
    width = page.evaluate("comparer().canvas.width")
    assert abs(edge() - (5 / 8) * width) < 0.02 * width  # the block right of the middle is black
    y = box["y"] + box["height"] / 3
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.3, y, steps=4)
    page.mouse.up()
    assert abs(edge() - 0.3 * width) < 4
    page.keyboard.press("]")
    assert abs(edge() - 0.32 * width) < 4
    page.keyboard.press("[")
    page.keyboard.press("[")
    assert abs(edge() - 0.28 * width) < 4
    assert page.evaluate("comparer().fitted")  # the picture was not dragged


def test_the_wheel_zooms_about_the_pointer_and_dragging_pans(compare: Callable[..., Page]) -> None:
    page = compare("cmp_a.mp4", "cmp_b.mkv")
    box = page.locator(".textovsr-compare canvas").bounding_box()
    x, y = round(box["x"] + box["width"] * 0.7), round(box["y"] + box["height"] * 0.4)
    under = """([x, y]) => {
        const { view } = comparer();
        const point = comparer().pointOf({ clientX: x, clientY: y });
        return [(point.x - view.x) / view.scale, (point.y - view.y) / view.scale, view.scale];
    }"""
    graph = page.evaluate("app.canvas.ds.scale")
    page.mouse.move(x, y)
    before = page.evaluate(under, [x, y])
    page.mouse.wheel(0, -500)
    page.wait_for_function("(scale) => comparer().view.scale > 2 * scale", arg=before[2])
    after = page.evaluate(under, [x, y])
    assert after[:2] == pytest.approx(before[:2], abs=0.01)
    assert page.evaluate("app.canvas.ds.scale") == graph
    page.mouse.down()
    page.mouse.move(x - 60, y + 30, steps=3)
    page.mouse.up()
    assert page.evaluate(under, [x - 60, y + 30])[:2] == pytest.approx(before[:2], abs=0.01)
    page.keyboard.press("g")
    assert page.evaluate("comparer().view.scale") == 1
    page.keyboard.press("h")
    assert page.evaluate("comparer().view.scale") == pytest.approx(before[2])


def test_pixels_are_exact_and_square_when_zoomed_in(compare: Callable[..., Page], server: ComfyServer) -> None:
    page = compare("cmp_a.mp4", "cmp_b.mkv")
    page.keyboard.press(".")
    at(page, 1)
    short_press(page, "2")
    page.evaluate("Object.assign(comparer(), { fitted: false, view: { scale: 8, x: 0, y: 0 } })")
    answer = page.request.get(f"{server.address}/textovsr/frame?filename=cmp_b.mkv&type=input&frame=1")
    with Image.open(BytesIO(answer.body())) as source:
        expected = np.asarray(source.convert("RGB"))[:20, :40].repeat(8, 0).repeat(8, 1)
    assert np.array_equal(seen(page)[:160, :320], expected)


def test_the_difference_of_equal_videos_is_black(compare: Callable[..., Page]) -> None:
    page = compare("cmp_a.mp4", "cmp_a.mp4")
    page.keyboard.press("Shift+ArrowRight")
    at(page, 10)
    assert picture(page)[:100].max() > 200
    page.get_by_label("How many times differences are amplified").select_option("32")
    expect(page.get_by_role("button", name="Difference from A")).to_have_attribute("aria-pressed", "true")
    assert picture(page)[:100].max() == 0
    page.get_by_role("button", name="Difference from A").click()
    assert picture(page)[:100].max() > 200


def test_the_difference_is_amplified(compare: Callable[..., Page]) -> None:
    page = compare("cmp_a.mp4", "cmp_b.mkv")
    page.keyboard.press(".")
    at(page, 1)  # the first block is white
    page.get_by_label("How many times differences are amplified").select_option("1")
    plain = picture(page)[40, 10].astype(int)
    assert plain == pytest.approx([255 * (1 - channel) for channel in GREEN], abs=8)
    page.get_by_label("How many times differences are amplified").select_option("2")
    assert picture(page)[40, 10] == pytest.approx(np.minimum(2 * plain, 255), abs=2)


def test_another_shape_is_not_stretched(compare: Callable[..., Page]) -> None:
    page = compare("cmp_a.mp4", "cmp_wide.mp4")
    page.keyboard.press(".")
    at(page, 1)  # the first block is white
    short_press(page, "2")
    shown = picture(page)
    column = shown[:, shown.shape[1] // 16].astype(int)
    bright = np.flatnonzero(column[:, 1] - column[:, 0] > 80)
    assert (bright[0] / len(column), bright[-1] / len(column)) == pytest.approx((0.25, 0.75), abs=0.02)
