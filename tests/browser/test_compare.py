"""The comparer on the canvas: lockstep, divider, zoom, difference, keys, saved pictures."""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from textovsr.tests.helpers.clips import Clip, numbered, read_number, write_clip
from textovsr.tools.comfy_server import ComfyServer

SLOW = 120_000
FRAMES = 50
GREEN = (0.35, 1.0, 0.6)
"""What white is in the second video, so that it can be told from the first one."""


def tinted(number: int, clip: Clip) -> av.VideoFrame:
    picture = (numbered(number, clip.width, clip.height) * np.array(GREEN)).astype(np.uint8)
    return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=clip.pix_fmt, dst_colorspace="itu709")


UNEVEN = tuple(int(n * 40 + (n * n * 7) % 23) for n in range(FRAMES))
CLIPS = {
    "cmp_a.mp4": Clip(pts=range(FRAMES), width=320, height=160, options={"preset": "medium", "bf": "3", "g": "12"}),
    "cmp_b.mkv": Clip(pts=UNEVEN, time_base=Fraction(1, 1000), width=640, height=320, draw=tinted, tags=(1, 1, 1, 1)),
    "cmp_wide.mp4": Clip(pts=range(20), width=320, height=80, draw=tinted, tags=(1, 1, 1, 1)),
    "cmp_short.mp4": Clip(pts=range(20), width=320, height=160),
}
BUILD = """(files) => {
    app.graph.clear();
    app.canvas.ds.reset();
    app.canvas.ds.offset = [0, 60];
    window.tested = LiteGraph.createNode("OVSR_CompareVideos");
    tested.pos = [620, 40];
    app.graph.add(tested);
    files.forEach((file, place) => {
        const loader = LiteGraph.createNode("OVSR_LoadVideo");
        loader.pos = [80, 40 + 90 * place];
        app.graph.add(loader);
        loader.widgets.find((widget) => widget.name === "file").value = file;
        loader.connect(0, tested, place);
        loader.collapse();
    });
    window.comparer = () => tested.widgets.find((widget) => widget.name === "comparison").comparer;
    if (window.ended !== undefined) return;
    for (const end of ["execution_success", "execution_error", "execution_interrupted"])
        app.api.addEventListener(end, () => ended++);
}"""
RUN = "async () => { window.ended = 0; await app.queuePrompt(0); }"
READY = """(frame) => {
    const { player } = comparer();
    return player.frame === frame && !player.loading && !player.playing && player.pictures().every(Boolean);
}"""


@pytest.fixture(scope="module", autouse=True)
def _inputs(server: ComfyServer) -> None:
    for name, clip in CLIPS.items():
        write_clip(server.base / "input" / name, clip)


@pytest.fixture(scope="module")
def thrown() -> list[str]:
    """What the page's scripts threw, in all tests so far."""
    return []


@pytest.fixture(scope="module")
def board(browser: Browser, server: ComfyServer, thrown: list[str]) -> Iterator[Page]:
    """One page for all tests; opening it takes longer than each of them."""
    page = browser.new_page(viewport={"width": 1600, "height": 1000})
    page.on("pageerror", lambda error: thrown.append(str(error)))
    page.on("console", lambda said: said.type == "error" and "textovsr" in said.text and thrown.append(said.text))
    page.goto(server.address)
    page.wait_for_function("!!(window.app?.graph && LiteGraph.registered_node_types['OVSR_SaveVideo'])", timeout=SLOW)
    yield page
    page.close()


@pytest.fixture
def complaints(thrown: list[str]) -> list[str]:
    """What the page's scripts throw in this test."""
    thrown.clear()
    return thrown


@pytest.fixture
def compare(board: Page) -> Callable[..., Page]:
    """Run a comparison of files and wait for its first picture."""

    def run(*files: str) -> Page:
        board.evaluate(BUILD, list(files))
        board.evaluate(RUN)
        board.wait_for_function("window.ended === 1", timeout=SLOW)
        board.wait_for_function("!!tested.widgets.find((widget) => widget.name === 'comparison')", timeout=SLOW)
        at(board, 0)
        board.locator(".textovsr-compare").focus()
        return board

    return run


def at(page: Page, frame: int) -> None:
    """Wait until a frame is shown, exactly."""
    page.wait_for_function(READY, arg=frame, timeout=SLOW)


def seen(page: Page) -> np.ndarray:
    """(H,W,3) what is drawn on the canvas, as it is."""
    data = page.evaluate(
        """async () => {
            comparer().paintNow();
            const blob = await new Promise((done) => comparer().canvas.toBlob(done));
            return [...new Uint8Array(await blob.arrayBuffer())];
        }"""
    )
    with Image.open(BytesIO(bytes(data))) as picture:
        return np.asarray(picture.convert("RGB"))


def part(page: Page) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the picture on the canvas."""
    view = page.evaluate("comparer().view")
    size = page.evaluate("comparer().picture")
    right, bottom = view["x"] + size["width"] * view["scale"], view["y"] + size["height"] * view["scale"]
    return round(view["x"]), round(view["y"]), round(right), round(bottom)


def picture(page: Page) -> np.ndarray:
    """(H,W,3) the picture on the canvas, without what is around it."""
    left, top, right, bottom = part(page)
    return seen(page)[max(top, 0) : bottom, max(left, 0) : right]


def number_in(pixels: np.ndarray) -> int:
    return read_number((pixels[:, :, 1:2] / 255).transpose(2, 0, 1))  # (H,W,C) -> (C,H,W); both have green


def is_green(pixels: np.ndarray) -> np.ndarray:
    """(W,) which columns of the upper rows are of the second video; black ones are of neither."""
    row = pixels[pixels.shape[0] // 4].astype(int)
    return row[:, 1] - row[:, 0] > 80


def whole(page: Page, key: str) -> np.ndarray:
    """The picture while a key of one video is held."""
    page.keyboard.down(key)
    pixels = picture(page)
    page.wait_for_timeout(400)
    page.keyboard.up(key)
    return pixels


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
    page.wait_for_function("(scale) => comparer().view.scale > 2 * scale", arg=before[2], timeout=SLOW)
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
    page.keyboard.press("2")
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
    page.keyboard.press("2")
    shown = picture(page)
    column = shown[:, shown.shape[1] // 16].astype(int)
    bright = np.flatnonzero(column[:, 1] - column[:, 0] > 80)
    assert (bright[0] / len(column), bright[-1] / len(column)) == pytest.approx((0.25, 0.75), abs=0.02)


def test_playing_shows_every_frame_and_a_loop_repeats(compare: Callable[..., Page], complaints: list[str]) -> None:
    page = compare("cmp_a.mp4", "cmp_b.mkv")
    page.evaluate(
        """() => {
            window.shown = [];
            const { player } = comparer();
            const changed = player.changed;
            player.changed = () => { if (shown.at(-1) !== player.frame) shown.push(player.frame); changed(); };
        }"""
    )
    page.keyboard.press("Space")
    page.wait_for_function("comparer().player.frame > 12", timeout=SLOW)
    page.keyboard.press("Space")
    page.wait_for_function("!comparer().player.playing && !comparer().player.loading", timeout=SLOW)
    shown = page.evaluate("shown")
    assert shown == list(range(shown[0], shown[-1] + 1))
    assert number_in(picture(page)) == shown[-1]
    assert page.evaluate("comparer().player.frames.every((f) => f.at(comparer().player.frame).side === 0)")
    page.evaluate("comparer().player.goTo(20)")
    at(page, 20)
    page.keyboard.press("i")
    for _ in range(3):
        page.keyboard.press(".")
    at(page, 23)
    page.keyboard.press("o")
    page.evaluate("window.shown = []")
    page.keyboard.press("Space")
    page.wait_for_function("window.shown.length > 9", timeout=SLOW)
    page.keyboard.press("Space")
    looped = page.evaluate("shown.slice(0, 9)")
    assert looped == [20, 21, 22, 23, 20, 21, 22, 23, 20]
    page.keyboard.press("x")
    assert page.evaluate("comparer().player.loop") is None
    assert complaints == []


def test_four_videos_and_a_shorter_one(compare: Callable[..., Page]) -> None:
    page = compare("cmp_a.mp4", "cmp_b.mkv", "cmp_short.mp4", "cmp_a.mp4")
    expect(page.locator(".textovsr-compare-note")).to_have_text(re.compile("A 50, B 50, C 20, D 50"))
    page.keyboard.press("End")
    at(page, 19)
    for key in "1234":
        assert number_in(whole(page, key)) == 19
    page.keyboard.press("3")  # a short press stays
    assert page.evaluate("comparer().whole") == 2
    page.keyboard.press("0")
    assert page.evaluate("comparer().whole") is None
    assert page.evaluate("comparer().dividers") == [0.25, 0.5, 0.75]


def test_a_picture_is_saved(compare: Callable[..., Page]) -> None:
    page = compare("cmp_a.mp4", "cmp_b.mkv")
    page.evaluate("comparer().player.goTo(7)")
    at(page, 7)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save this picture").click()
    assert download.value.suggested_filename == "comparison_000007.png"
    with Image.open(download.value.path()) as saved:
        assert list(saved.size) == page.evaluate("[comparer().canvas.width, comparer().canvas.height]")
        assert np.array_equal(np.asarray(saved.convert("RGB")), seen(page))


def test_other_widgets_can_seek_it(compare: Callable[..., Page]) -> None:
    page = compare("cmp_b.mkv", "cmp_a.mp4")
    seconds = (UNEVEN[31] - UNEVEN[0]) / 1000
    page.evaluate(
        "(seconds) => dispatchEvent(new CustomEvent('textovsr:seek', { detail: { seconds } }))", seconds + 0.002
    )
    at(page, 31)
    page.evaluate("async () => (await import('/extensions/textovsr/canvas/compare.js')).seekComparers({ frame: 4 })")
    at(page, 4)
    page.evaluate("app.graph.remove(tested)")
    page.evaluate("dispatchEvent(new CustomEvent('textovsr:seek', { detail: { frame: 9 } }))")
    assert page.locator(".textovsr-compare").count() == 0


def test_what_is_wrong_is_said(compare: Callable[..., Page], server: ComfyServer) -> None:
    write_clip(server.base / "input" / "cmp_gone.mp4", CLIPS["cmp_short.mp4"])
    page = compare("cmp_a.mp4", "cmp_gone.mp4")
    (server.base / "input" / "cmp_gone.mp4").unlink()
    page.keyboard.press(".")
    expect(page.locator(".textovsr-compare-note")).to_have_text(re.compile("found no cmp_gone.mp4"), timeout=SLOW)


def test_its_words_are_translated(root: Path) -> None:
    texts = json.loads((root / "locales" / "zh" / "main.json").read_text("utf-8"))["textovsr"]
    scripts = "".join(file.read_text("utf-8") for file in (root / "js" / "canvas").glob("compare*.js"))
    said = set(re.findall(r"\bsay\(\s*\"(.*?)\"", scripts))
    assert len(said) > 20
    assert said <= set(texts)
    for english in said:
        assert set(re.findall(r"{\w+}", english)) == set(re.findall(r"{\w+}", texts[english]))


def test_full_screen(compare: Callable[..., Page]) -> None:
    page = compare("cmp_a.mp4", "cmp_b.mkv")
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement?.classList.contains('textovsr-compare')", timeout=SLOW)
    page.wait_for_function("comparer().canvas.width > 1500", timeout=SLOW)
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement === null", timeout=SLOW)


def test_nodes_drawn_as_html_show_it_too(compare: Callable[..., Page], complaints: list[str]) -> None:
    page = compare("cmp_a.mp4", "cmp_b.mkv")
    setting = "async (on) => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on)"
    with contextlib.ExitStack() as stack:
        page.evaluate(setting, True)
        stack.callback(lambda: page.evaluate(setting, False))
        inside = page.locator("[data-node-id] .textovsr-compare canvas")
        inside.wait_for(timeout=SLOW)
        page.wait_for_function("comparer().canvas.getBoundingClientRect().height > 100", timeout=SLOW)
        page.locator(".textovsr-compare").focus()
        page.keyboard.press(".")
        at(page, 1)
        assert number_in(picture(page)) == 1
    assert complaints == []


def test_a_temporary_file_is_called_like_the_node_before(compare: Callable[..., Page]) -> None:
    """Its own name says nothing; that of a file in the input folder does."""
    page = compare("cmp_a.mp4", "cmp_b.mkv")
    page.evaluate(
        """() => {
            tested.getInputNode(1).title = "Restored by lite";
            const videos = comparer().videos.map((video, place) => (place ? { ...video, type: "temp" } : video));
            tested.onExecuted({ videos });
        }"""
    )
    shown = page.locator(".textovsr-compare canvas").first
    expect(shown).to_have_attribute("aria-label", re.compile("A: cmp_a.mp4, B: Restored by lite$"))
