"""The results to look at: labelled crops side by side, and columns over time."""

from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

SIDE, ZOOM = 96, 2
"""A crop's side in pixels of the result, and how much larger it is shown (nearest neighbour)."""

CROPS = {
    "vtest": {"text": (190, 138), "faces": (248, 112), "texture": (62, 118), "edges": (384, 0)},
    "bikes": {"texture": (70, 0), "edges": (80, 60), "wheel": (176, 128), "cars": (284, 64)},
}
"""Left and top of each crop."""

PROFILES = {"vtest": (134, 150), "bikes": (112, 200)}
"""Row of a clip whose pixels are shown over time, and the first column shown."""

PROFILE_WIDTH, ROWS = 256, 6
"""Columns of a temporal profile, shown twice as wide; rows a frame."""

_LABEL = 16
_INK = (255, 255, 255)

Results = Mapping[str, Tensor]
"""By name, (T,3,H,W) bytes."""


def crops(clip: str, results: Results, index: int) -> Image.Image:
    """One row a crop, one column a result: frame ``index``, which every result has."""
    places = CROPS[clip]
    cell = SIDE * ZOOM
    sheet = Image.new("RGB", (len(results) * (cell + 4), len(places) * (cell + 4) + _LABEL))
    draw = ImageDraw.Draw(sheet)
    for column, (name, frames) in enumerate(results.items()):
        draw.text((column * (cell + 4) + 2, 2), name, fill=_INK)
        frame = frames[index]
        for row, (label, (left, top)) in enumerate(places.items()):
            at = (column * (cell + 4), row * (cell + 4) + _LABEL)
            crop = _image(frame[:, top : top + SIDE, left : left + SIDE])
            sheet.paste(crop.resize((cell, cell), Image.Resampling.NEAREST), at)
            if column == 0:
                draw.text((at[0] + 3, at[1] + 2), label, fill=_INK, stroke_width=1, stroke_fill=(0, 0, 0))
    return sheet


def profiles(clip: str, results: Results) -> Image.Image:
    """One strip a result: the same row of every frame, time going down; what stands still makes vertical lines."""
    row, left = PROFILES[clip]
    strips = {name: frames[:, :, row, left : left + PROFILE_WIDTH] for name, frames in results.items()}
    heights = [len(strip) * ROWS + _LABEL for strip in strips.values()]
    sheet = Image.new("RGB", (2 * PROFILE_WIDTH, sum(heights)))
    draw = ImageDraw.Draw(sheet)
    top = 0
    for (name, strip), height in zip(strips.items(), heights, strict=True):
        draw.text((2, top + 2), name, fill=_INK)
        image = _image(strip.transpose(0, 1))  # (T,C,W) -> (C,T,W)
        image = image.resize((2 * PROFILE_WIDTH, height - _LABEL), Image.Resampling.NEAREST)
        sheet.paste(image, (0, top + _LABEL))
        top += height
    return sheet


def save(clip: str, kind: str, results: Results, folder: Path) -> None:
    """Write both pictures of a clip; the crops are of the middle frame, or the last one that all results have."""
    folder.mkdir(parents=True, exist_ok=True)
    lengths = [len(frames) for frames in results.values()]
    index = min(max(lengths) // 2, min(lengths) - 1)
    crops(clip, results, index).save(folder / f"{clip}_{kind}_crops.png")
    profiles(clip, results).save(folder / f"{clip}_{kind}_profiles.png")


def to_bytes(clip: Tensor) -> Tensor:
    """(T,3,H,W) in [0,1] -> the same in bytes."""
    return clip.clamp(0, 1).mul(255).round().to(torch.uint8)


def _image(pixels: Tensor) -> Image.Image:
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())  # (C,H,W) -> (H,W,C)
