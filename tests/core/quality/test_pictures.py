"""Sharpness and blockiness: they know what they are named after, on real photographs."""

import io

import pytest
import skimage.data
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from textovsr.core.errors import ShapeError
from textovsr.core.quality.blockiness import blockiness
from textovsr.core.quality.sharpness import sharpness


def photograph(name: str = "chelsea") -> Tensor:
    return torch.from_numpy(getattr(skimage.data, name)()[:288, :384].copy()).permute(2, 0, 1) / 255


def jpeg(x: Tensor, quality: int) -> Tensor:
    data = io.BytesIO()
    Image.fromarray(x.mul(255).round().byte().permute(1, 2, 0).numpy()).save(data, "JPEG", quality=quality)
    pixels = torch.frombuffer(bytearray(Image.open(data).convert("RGB").tobytes()), dtype=torch.uint8)
    return pixels.view(*x.shape[1:], 3).permute(2, 0, 1) / 255


def enlarged(x: Tensor, times: int) -> Tensor:
    return F.interpolate(x[None], scale_factor=times, mode="bicubic")[0].clamp(0, 1)


def test_sharpness_falls_with_blur_and_is_a_deviation() -> None:
    x = photograph()
    soft = F.avg_pool2d(F.pad(x[None], (2, 2, 2, 2), mode="replicate"), 5, 1)[0]
    assert sharpness(soft) < sharpness(x) / 2
    assert sharpness(torch.full((3, 8, 8), 0.4)) == pytest.approx(0, abs=1e-4)
    board = (torch.arange(16)[:, None] + torch.arange(16)) % 2
    # A chequerboard of 0 and 1 has a Laplacian of plus and minus four times the step of luma, 219 levels.
    assert sharpness(board.expand(3, 16, 16).float()) == pytest.approx(4 * 219, rel=1e-4)


@pytest.mark.parametrize("name", ["chelsea", "coffee", "astronaut"])
def test_blocks_are_found_by_their_grid(name: str) -> None:
    x = photograph(name)
    scores = [blockiness(jpeg(x, quality)) for quality in (95, 30, 10)]
    assert blockiness(x) < 0.1
    assert scores == sorted(scores)
    assert scores[1] > 0.15
    assert scores[2] > 0.5


@pytest.mark.parametrize("times", [2, 4])
def test_enlarged_blocks_are_found(times: int) -> None:
    x = photograph("coffee")
    assert blockiness(enlarged(jpeg(x, 10), times)) > 0.3
    assert blockiness(enlarged(x, times)) < 0.1


def test_a_step_of_known_height() -> None:
    ramp = torch.arange(64) * 0.01 + (torch.arange(64) // 8) * 0.01  # steps of 1 within a block and of 2 between
    flat = ramp.expand(3, 64, 64) / 2
    within = 0.005 * 219
    assert blockiness(flat) == pytest.approx((within / (within + 0.05)) / 2, abs=1e-3)


def test_small_frames_are_refused() -> None:
    with pytest.raises(ShapeError, match="32 pixels"):
        blockiness(torch.zeros(3, 31, 64))
    with pytest.raises(ShapeError, match="3x3"):
        sharpness(torch.zeros(3, 2, 8))
