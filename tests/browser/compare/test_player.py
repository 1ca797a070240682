"""The comparer as a player: playing, loops, saved pictures, full screen, what others ask of it."""

import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from textovsr.tests.browser.gestures import held, release, settle, short_press
from textovsr.tests.helpers.clips import write_clip
from textovsr.tests.helpers.comparer import CLIPS, FRAMES, UNEVEN, at, number_in, picture, seen, whole
from textovsr.tools.comfy_server import ComfyServer

RECORD = """() => {
    window.shown = [];
    const { player } = comparer();
    const changed = player.changed;
    player.changed = () => { if (shown.at(-1) !== player.frame) shown.push(player.frame); changed(); };
}"""
EXACT = "comparer().player.frames.every((frames) => frames.at(comparer().player.frame).side === 0)"


def test_playing_shows_every_frame_and_a_loop_repeats(compare: Callable[..., Page], complaints: list[str]) -> None:
    page = compare("cmp_a.mp4", "cmp_b.mkv")
    page.evaluate(RECORD)
    page.keyboard.press("Space")
    at(page, FRAMES - 1)  # where it stops by itself
    shown = page.evaluate("shown")
    assert shown == list(range(shown[0], FRAMES))
    assert shown[0] in (0, 1)
    assert number_in(picture(page)) == FRAMES - 1
    assert page.evaluate(EXACT)
    page.evaluate("comparer().player.goTo(20)")
    at(page, 20)
    page.keyboard.press("i")
    for _ in range(3):
        page.keyboard.press(".")
    at(page, 23)
    page.keyboard.press("o")
    page.evaluate("window.shown = []")
    page.keyboard.press("Space")
    page.wait_for_function("window.shown.length > 9")
    page.keyboard.press("Space")
    looped = page.evaluate("shown.slice(0, 9)")
    assert looped == [20, 21, 22, 23, 20, 21, 22, 23, 20]
    page.wait_for_function("!comparer().player.playing && !comparer().player.loading")
    assert number_in(picture(page)) == page.evaluate("comparer().player.frame")
    assert page.evaluate(EXACT)
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
    busy = "() => { for (const end = performance.now() + 500; performance.now() < end; ); }"
    short_press(page, "3", lambda: page.evaluate(busy))  # stays, even if a busy page hears of its end late
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


def seek(page: Page, frame: int) -> None:
    """Ask as other widgets do for the moment of a frame of cmp_b.mkv."""
    seconds = (UNEVEN[frame] - UNEVEN[0]) / 1000 + 0.002
    page.evaluate("(seconds) => { dispatchEvent(new CustomEvent('textovsr:seek', { detail: { seconds } })); }", seconds)


def test_the_newest_wish_counts(compare: Callable[..., Page], complaints: list[str]) -> None:
    """Whichever answer of the server comes last."""
    page = compare("cmp_b.mkv", "cmp_a.mp4")
    for wish in (lambda: seek(page, 40), lambda: page.keyboard.press("End")):
        late = held(page, r"/textovsr/frame_number\?")
        seek(page, 31)
        wish()
        wanted = page.wait_for_function("comparer().player.frame > 31 && comparer().player.frame").json_value()
        page.evaluate(RECORD)
        release(page, late)
        at(page, wanted)
        assert page.evaluate("shown") in ([], [wanted])
        page.keyboard.press("Home")
        at(page, 0)
    assert complaints == []


def test_a_late_picture_does_not_interrupt_playing(compare: Callable[..., Page]) -> None:
    page = compare("cmp_a.mp4", "cmp_b.mkv")
    page.evaluate(RECORD)
    late = held(page, r"/textovsr/frame\?.*cmp_a.*frame=1&format=png")
    page.keyboard.press(".")
    page.keyboard.press("Space")
    page.wait_for_function("comparer().player.frame > 5")
    release(page, late)
    at(page, FRAMES - 1)
    shown = page.evaluate("shown")
    assert shown == list(range(shown[0], FRAMES))


def test_what_is_wrong_is_said(compare: Callable[..., Page], server: ComfyServer) -> None:
    write_clip(server.base / "input" / "cmp_gone.mp4", CLIPS["cmp_short.mp4"])
    page = compare("cmp_a.mp4", "cmp_gone.mp4")
    (server.base / "input" / "cmp_gone.mp4").unlink()
    page.keyboard.press(".")
    expect(page.locator(".textovsr-compare-note")).to_have_text(re.compile("found no cmp_gone.mp4"))


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
    page.wait_for_function("document.fullscreenElement?.classList.contains('textovsr-compare')")
    page.wait_for_function("comparer().canvas.width > 1500")
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement === null")


def test_nodes_drawn_as_html_show_it_too(compare: Callable[..., Page], complaints: list[str]) -> None:
    page = compare("cmp_a.mp4", "cmp_b.mkv")
    setting = "async (on) => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on)"
    with contextlib.ExitStack() as stack:
        page.evaluate(setting, True)
        stack.callback(lambda: page.evaluate(setting, False))
        inside = page.locator("[data-node-id] .textovsr-compare canvas")
        inside.wait_for()
        settle(page)
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
