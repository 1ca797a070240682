"""One picture that shows what upscaling did: one frame and a detail of it, bicubic on the left, ours on the right."""

import itertools
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

COLUMN = 900
GAP = 16
BAR = 44
ZOOM_ASPECT = 0.62
BACKGROUND = (18, 18, 20)
INK = (235, 235, 238)
MARK = (255, 196, 61)


def before_after(source: Path, result: Path, picture: Path) -> Path:
    """Write the picture of the frame in the middle; return its path."""
    index = count_frames(result) // 2
    after = read_frame(result, index)
    before = read_frame(source, index).resize(after.size, Image.Resampling.BICUBIC)
    box = interesting_box(after)
    left = column(before, box, "Bicubic")
    right = column(after, box, "TextOVSR")
    sheet = Image.new("RGB", (left.width * 2 + GAP * 3, left.height + GAP * 2), BACKGROUND)
    sheet.paste(left, (GAP, GAP))
    sheet.paste(right, (left.width + GAP * 2, GAP))
    sheet.save(picture)
    return picture


def count_frames(video: Path) -> int:
    """Return the number of frames: what the container says, or else a count of the packets."""
    with av.open(str(video)) as container:
        said = container.streams.video[0].frames
        return said or sum(packet.size > 0 for packet in container.demux(video=0))


def read_frame(video: Path, index: int) -> Image.Image:
    """Return one frame, turned upright; the last one when there are fewer."""
    with av.open(str(video)) as container:
        for frame in itertools.islice(container.decode(video=0), index + 1):
            shown = frame
        return shown.to_image().rotate(shown.rotation, expand=True)


def interesting_box(image: Image.Image) -> tuple[int, int, int, int]:
    """Return the part (left, top, right, bottom) with the most detail, a quarter of the width wide."""
    width = image.width // 4
    height = min(int(width * ZOOM_ASPECT), image.height)
    gray = np.asarray(image.convert("L"), np.float32)
    detail = np.pad(np.abs(np.diff(gray, axis=0))[:, :-1] + np.abs(np.diff(gray, axis=1))[:-1], ((1, 0), (1, 0)))
    total = np.pad(detail, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    sums = total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
    top, left = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(left), int(top), int(left) + width, int(top) + height


def column(image: Image.Image, box: tuple[int, int, int, int], label: str) -> Image.Image:
    """Return one half of the picture: a label, the whole frame with the detail marked, the detail enlarged."""
    whole = image.resize((COLUMN, round(image.height * COLUMN / image.width)), Image.Resampling.LANCZOS)
    scale = COLUMN / image.width
    ImageDraw.Draw(whole).rectangle([round(edge * scale) for edge in box], outline=MARK, width=3)
    crop = image.crop(box)
    detail = crop.resize((COLUMN, round(crop.height * COLUMN / crop.width)), Image.Resampling.NEAREST)
    half = Image.new("RGB", (COLUMN, BAR + whole.height + GAP + detail.height), BACKGROUND)
    ImageDraw.Draw(half).text((0, 4), label, INK, ImageFont.load_default(size=28))
    half.paste(whole, (0, BAR))
    half.paste(detail, (0, BAR + whole.height + GAP))
    return half
