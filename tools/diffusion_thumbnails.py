"""What the thumbnails of the workflows show that need a diffusion model of the user's own.

Such models do not ship, so no result of one is shown: clips, motion and noise are real, windows are drawn.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from textovsr.core.device import pick_device
from textovsr.core.diffusion.schedules import respaced, trained_schedule
from textovsr.core.job import Source
from textovsr.core.motion.config import MotionConfig
from textovsr.core.motion.flow import Flow
from textovsr.core.motion.networks import load_spynet
from textovsr.core.motion.preview import preview_flow
from textovsr.core.motion.source import VideoMotion
from textovsr.core.overlaps import blend_weights, overlapping_windows

_FRAMES, _LENGTH, _OVERLAP = 20, 8, 4
_ROW = 26
_GAP = 6
_STEPS = 50
_SHOWN = (0.02, 0.6, 0.78, 0.92)
"""Steps of the sampler unless told, and the parts of them that are done when it is drawn."""
_GRAIN = 4
"""Pixels of the picture that share their noise: a latent stands for eight of the result."""
_GREEN = (110, 190, 140)

Color = tuple[int, int, int]


def flow_picture(clip: Path, seconds: float, size: tuple[int, int]) -> Image.Image:
    """How a clip moves at a time, as Estimate Flow shows it, cut from the middle to a size."""
    flow = Flow(load_spynet(), pick_device("cpu"))
    motion = VideoMotion(Source(clip, start=seconds, deinterlace="off"), lambda: flow, MotionConfig(finer=8))
    pixels = preview_flow(motion, lambda done, total, newest: None, 2)[0]
    picture = Image.fromarray((pixels.permute(1, 2, 0) * 255).round().byte().numpy())
    scale = max(size[0] / picture.width, size[1] / picture.height)
    wide, high = size[0] / scale, size[1] / scale
    left, top = (picture.width - wide) / 2, (picture.height - high) / 2
    return picture.resize(size, Image.Resampling.BICUBIC, (left, top, left + wide, top + high))


def windows_picture(title: str, size: tuple[int, int], colors: tuple[Color, Color]) -> Image.Image:
    """Overlapping windows over time, each as strong as it counts in the result.

    Args:
        title: above them.
        size: of the picture.
        colors: background and ink.
    """
    drawn = Image.new("RGB", size, colors[0])
    draw = ImageDraw.Draw(drawn)
    draw.text((size[0] / 2, 30), title, colors[1], ImageFont.load_default(17), anchor="mm")
    places = overlapping_windows(_FRAMES, _LENGTH, _OVERLAP)
    weights = blend_weights(_OVERLAP, "code")
    step = (size[0] - 24) / _FRAMES
    for row, place in enumerate(places):
        for frame in place:
            share = 1.0
            if row > 0 and frame < places[row - 1].stop:
                share = 1 - weights[frame - place.start]
            elif row + 1 < len(places) and frame >= places[row + 1].start:
                share = weights[frame - places[row + 1].start]
            color = tuple(round(a + (b - a) * share) for a, b in zip(colors[0], _GREEN, strict=True))
            x, y = 12 + frame * step, 62 + row * (_ROW + 8)
            draw.rectangle((x, y, x + step - 2, y + _ROW), color)
    legend = f"windows of {_LENGTH} frames, stitched over {_OVERLAP}"
    draw.text((size[0] / 2, size[1] - 28), legend, colors[1], ImageFont.load_default(14), anchor="mm")
    return drawn


def steps_picture(
    title: str, frame: Image.Image, size: tuple[int, int], colors: tuple[Color, Color], steps: int = _STEPS
) -> Image.Image:
    """A picture under less and less noise: what a sampler is between its steps.

    Args:
        title: above it.
        frame: what is under the noise.
        size: of the picture.
        colors: background and ink.
        steps: of the sampler.
    """
    drawn = Image.new("RGB", size, colors[0])
    draw = ImageDraw.Draw(drawn)
    draw.text((size[0] / 2, 30), title, colors[1], ImageFont.load_default(17), anchor="mm")
    side = (size[0] - 24 - _GAP * (len(_SHOWN) - 1)) / len(_SHOWN)
    small = frame.resize((round(side), round(side)), Image.Resampling.BICUBIC, _square(frame))
    clean = torch.from_numpy(np.asarray(small).copy()).float() / 127.5 - 1  # (H,W,C), -1 to 1
    grains = torch.randn(small.height, small.width, 3, generator=torch.Generator().manual_seed(0))
    noise = grains.repeat_interleave(_GRAIN, 0).repeat_interleave(_GRAIN, 1)[: small.height, : small.width]
    schedule = respaced(trained_schedule(), steps)
    for number, share in enumerate(_SHOWN):
        step = max(round(share * steps), 1)
        noisy = schedule.add_noise(clean, noise, steps - step)
        pixels = ((noisy.clamp(-1, 1) + 1) * 127.5).round().byte().numpy()
        x, y = round(12 + number * (side + _GAP)), round((size[1] - side) / 2)
        drawn.paste(Image.fromarray(pixels), (x, y))
        draw.text((x + side / 2, y + side + 14), f"step {step}", colors[1], ImageFont.load_default(14), anchor="mm")
    legend = "noise is taken away, step by step"
    draw.text((size[0] / 2, size[1] - 28), legend, colors[1], ImageFont.load_default(14), anchor="mm")
    return drawn


def _square(frame: Image.Image) -> tuple[float, float, float, float]:
    left, top = (frame.width - frame.height) / 2, 0.0
    return left, top, left + frame.height, top + frame.height
