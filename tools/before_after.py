"""One picture that shows what upscaling did: one frame and a detail of it, bicubic on the left, ours on the right."""

import itertools
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

COLUMN = 900
GAP = 16
BAR = 44
ZOOM = 2
ZOOM_ASPECT = 0.62
GRAIN = 4
CELL = 5
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
    """Return the part (left, top, right, bottom) with the strongest outlines, rather in the middle than at the edge."""
    width = min(COLUMN // ZOOM, image.width)
    height = min(int(width * ZOOM_ASPECT), image.height)
    strength = outlines(np.asarray(image.convert("L").reduce(GRAIN), np.float32))
    centre = np.outer(*(np.hanning(side + 2)[1:-1] for side in strength.shape))
    total = np.pad(strength * (0.5 + centre), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    rows = max(min(height // (GRAIN * CELL), total.shape[0] - 1), 1)
    columns = max(min(width // (GRAIN * CELL), total.shape[1] - 1), 1)
    sums = total[rows:, columns:] - total[:-rows, columns:] - total[rows:, :-columns] + total[:-rows, :-columns]
    top, left = (int(place) * GRAIN * CELL for place in np.unravel_index(int(sums.argmax()), sums.shape))
    left, top = min(left, image.width - width), min(top, image.height - height)
    return left, top, left + width, top + height


def outlines(gray: np.ndarray) -> np.ndarray:
    """Return, cell by cell, how far the gradients agree on one direction: high on outlines, low on noise and leaves.

    With a and b, the eigenvalues of the structure tensor, sqrt(a + b) times the coherence (a - b) / (a + b), cubed.
    (H,W) -> (H/CELL,W/CELL), at least one cell.
    """
    gray = np.pad(gray, ((0, max(CELL - gray.shape[0], 0)), (0, max(CELL - gray.shape[1], 0))), "edge")
    down, right = np.gradient(gray)
    rows, columns = gray.shape[0] // CELL, gray.shape[1] // CELL

    def mean(values: np.ndarray) -> np.ndarray:
        return values[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL).mean((1, 3))

    strength = mean(right**2) + mean(down**2) + 1e-6
    coherence = np.hypot(mean(right**2) - mean(down**2), 2 * mean(right * down)) / strength
    return np.sqrt(strength) * coherence**3


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
