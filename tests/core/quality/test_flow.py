"""The flow that needs no network: known motions, flicker, flat pictures, odd sizes."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textovsr.core.quality.flow import find_flow
from textovsr.core.quality.temporal import find_motion
from textovsr.models.warp import warp


def textured(height: int, width: int, seed: int = 0) -> Tensor:
    """(1,3,height,width) in [0,1]: detail of several sizes."""
    generator = torch.Generator().manual_seed(seed)
    layers = [
        F.interpolate(
            torch.rand(1, 3, height // n + 2, width // n + 2, generator=generator), (height, width), mode="bicubic"
        )
        for n in (4, 9, 23)
    ]
    return torch.stack(layers).mean(0).clamp(0, 1)


def motion(kind: str, height: int, width: int) -> Tensor:
    """(1,2,height,width)"""
    y, x = torch.meshgrid(torch.arange(height) - height / 2, torch.arange(width) - width / 2, indexing="ij")
    fields = {
        "still": (0 * x, 0 * y),
        "a little": (0 * x + 0.3, 0 * y - 0.6),
        "shift": (0 * x + 6.3, 0 * y - 3.7),
        "far": (0 * x - 11, 0 * y + 7),
        "zoom": (0.03 * x, 0.03 * y),
        "turn": (-0.03 * y, 0.03 * x),
    }
    return torch.stack(fields[kind])[None]


def error(found: Tensor, true: Tensor) -> float:
    """Mean distance in pixels where the picture shows what it showed."""
    inside = warp(torch.ones_like(true[:, :1]), true) > 0.99
    return float(((found - true) ** 2).sum(1, keepdim=True).sqrt()[inside].mean())


@pytest.mark.parametrize("kind", ["still", "a little", "shift", "far", "zoom", "turn"])
@pytest.mark.parametrize("size", [(96, 128), (75, 133)])
def test_known_motions_are_found_in_spite_of_noise(kind: str, size: tuple[int, int]) -> None:
    before, true = textured(*size), motion(kind, *size)
    noise = 0.02 * torch.randn(before.shape, generator=torch.Generator().manual_seed(1))
    after = warp(before, true, padding="border") + noise
    assert error(find_flow(after, before), true) < 0.25


def test_what_stands_still_has_no_flow() -> None:
    picture = textured(64, 96)
    assert float(find_flow(picture, picture).abs().max()) < 1e-3


def test_flicker_is_not_motion() -> None:
    before, true = textured(96, 128) * 0.7, motion("shift", 96, 128)
    after = warp(before, true, padding="border") + 0.15
    assert error(find_flow(after, before), true) < 0.25


def test_flat_pictures_have_no_flow() -> None:
    dark, light = torch.full((1, 3, 40, 40), 0.2), torch.full((1, 3, 40, 40), 0.7)
    assert float(find_flow(dark, light).abs().max()) < 1e-6


def test_flat_surroundings_move_along_with_what_can_be_followed() -> None:
    """Nothing else would be true or false of them; but there and back have to agree."""
    before = torch.full((1, 3, 96, 96), 0.5)
    before[..., 32:64, 32:64] = textured(32, 32)
    after = torch.roll(before, (2, 3), dims=(2, 3))
    found = find_flow(after, before)
    assert found[0, :, 40:60, 40:60].mean((1, 2)).tolist() == pytest.approx([-3, -2], abs=0.2)
    (seen,) = find_motion(torch.cat([before, after]), find_flow)
    assert float(seen.visible.mean()) > 0.9


@pytest.mark.parametrize("size", [(9, 9), (16, 300), (13, 17)])
def test_small_pictures(size: tuple[int, int]) -> None:
    found = find_flow(textured(*size), textured(*size, seed=1))
    assert found.shape == (1, 2, *size)
    assert found.isfinite().all()


def test_a_scene_that_is_followed_is_visible_nearly_everywhere() -> None:
    """The warping error means something only where it is measured."""
    before, true = textured(96, 128), motion("a little", 96, 128)
    (seen,) = find_motion(torch.cat([before, warp(before, true, padding="border")]), find_flow)
    assert float(seen.visible.mean()) > 0.95
