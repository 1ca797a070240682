"""What the comparer shows on the canvas, for tests in a browser."""

from fractions import Fraction
from io import BytesIO

import av
import numpy as np
from PIL import Image
from playwright.sync_api import Page

from textovsr.tests.helpers.clips import Clip, numbered, read_number

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
READY = """(frame) => {
    const { player } = comparer();
    return player.frame === frame && !player.loading && !player.playing && player.pictures().every(Boolean);
}"""


def at(page: Page, frame: int) -> None:
    """Wait until a frame is shown, exactly."""
    page.wait_for_function(READY, arg=frame)


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
