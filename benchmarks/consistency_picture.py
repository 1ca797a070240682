"""Temporal profiles of benchmarks/consistency.py: flicker to look at."""

from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw
from torch import Tensor

ROW_HEIGHT, LABEL = 5, 14
"""Pixels of a frame's line, and of the label above a strip."""


def profiles(clips: Mapping[str, Tensor]) -> Image.Image:
    """One strip a clip (T,3,H,W) in [0,1]: the middle row of every frame, time going down, twice as wide.

    What is steady makes smooth stripes.
    """
    frames, _, middle, width = next(iter(clips.values())).shape
    height, middle = frames * ROW_HEIGHT, middle // 2
    sheet = Image.new("RGB", (2 * width, (height + LABEL) * len(clips)), (20, 20, 20))
    draw = ImageDraw.Draw(sheet)
    for number, (name, clip) in enumerate(clips.items()):
        top = number * (height + LABEL)
        draw.text((3, top + 1), name, fill=(255, 255, 255))
        lines = clip[:, :, middle].permute(0, 2, 1).mul(255).round().byte()  # (T,3,W) -> (T,W,3)
        strip = Image.fromarray(lines.numpy()).resize((sheet.width, height), Image.Resampling.NEAREST)
        sheet.paste(strip, (0, top + LABEL))
    return sheet


def beside(sheets: Sequence[Image.Image]) -> Image.Image:
    """One next to the other, as high as the first."""
    whole = Image.new("RGB", (sum(sheet.width for sheet in sheets), sheets[0].height))
    left = 0
    for sheet in sheets:
        whole.paste(sheet, (left, 0))
        left += sheet.width
    return whole
