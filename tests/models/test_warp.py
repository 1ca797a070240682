"""Warping: identity, translation, borders, precision."""

from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.errors import ShapeError
from textovsr.models import warp as warp_module
from textovsr.models.warp import resize_flow, warp

SIZES = st.integers(2, 24)
"""A side of one pixel has no coordinates in ``align_corners``; the networks never make one."""


def constant_flow(x: float, y: float, height: int, width: int) -> Tensor:
    return torch.tensor([x, y]).view(1, 2, 1, 1).expand(1, 2, height, width)


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None)
@given(height=SIZES, width=SIZES, padding=st.sampled_from(["zeros", "border"]))
def test_no_flow_changes_nothing(height: int, width: int, padding: str) -> None:
    x = picture(height, width)
    torch.testing.assert_close(warp(x, constant_flow(0, 0, height, width), padding), x, rtol=0, atol=1e-5)


@settings(deadline=None)
@given(height=SIZES, width=SIZES, dx=st.integers(-30, 30), dy=st.integers(-30, 30))
def test_whole_pixels_shift_and_the_outside_is_zero(height: int, width: int, dx: int, dy: int) -> None:
    x = picture(height, width)
    expected = torch.zeros_like(x)
    for row in range(height):
        for column in range(width):
            if 0 <= row + dy < height and 0 <= column + dx < width:
                expected[..., row, column] = x[..., row + dy, column + dx]
    torch.testing.assert_close(warp(x, constant_flow(dx, dy, height, width)), expected, rtol=0, atol=1e-4)


@settings(deadline=None)
@given(
    height=SIZES,
    width=SIZES,
    dx=st.integers(-30, 30),
    dy=st.integers(-30, 30),
    zeros_only=st.sampled_from([(), ("cpu",)]),
)
def test_whole_pixels_shift_and_the_border_is_repeated(
    height: int, width: int, dx: int, dy: int, zeros_only: tuple[str, ...]
) -> None:
    x = picture(height, width)
    rows = (torch.arange(height) + dy).clamp(0, height - 1)
    columns = (torch.arange(width) + dx).clamp(0, width - 1)
    with patch.object(warp_module, "_ZEROS_ONLY", zeros_only):
        found = warp(x, constant_flow(dx, dy, height, width), "border")
    torch.testing.assert_close(found, x[..., rows, :][..., columns], rtol=0, atol=1e-4)


def test_half_a_pixel_is_the_mean_of_two() -> None:
    x = torch.tensor([0.0, 1.0, 3.0]).view(1, 1, 1, 3)
    found = warp(x, constant_flow(0.5, 0, 1, 3))
    torch.testing.assert_close(found, torch.tensor([0.5, 2.0, 1.5]).view(1, 1, 1, 3))


@pytest.mark.parametrize("width", [321, 1921, 4099])
def test_half_precision_reads_the_right_pixel(width: int) -> None:
    x = picture(2, width).half()
    found = warp(x, constant_flow(3, 0, 2, width).half())
    assert found.dtype == torch.float16
    torch.testing.assert_close(found[..., :-3], x[..., 3:], rtol=0, atol=2e-3)


@pytest.mark.parametrize("at_once", [1 << 25, 2 * 6 * 5], ids=["all channels", "two channels"])
def test_gradients_in_half_precision_are_those_in_single(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warp_module, "_AT_ONCE", at_once)
    gradients = []
    for dtype in (torch.float32, torch.bfloat16):
        x = picture(6, 5).to(dtype).requires_grad_()
        flow = constant_flow(0.5, -0.25, 6, 5).clone().requires_grad_()
        warp(x, flow).float().square().sum().backward()
        assert x.grad is not None
        assert flow.grad is not None
        gradients.append((x.grad.float(), flow.grad))
    for single, half in zip(*gradients, strict=True):
        torch.testing.assert_close(half, single, rtol=0.03, atol=0.03)


def test_another_size_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"size \(4, 5\), got \(4, 6\); resize it with resize_flow"):
        warp(picture(4, 5), constant_flow(0, 0, 4, 6))


@settings(deadline=None)
@given(size=st.tuples(SIZES, SIZES), to=st.tuples(SIZES, SIZES), align_corners=st.booleans())
def test_a_resized_flow_points_to_the_same_place(
    size: tuple[int, int], to: tuple[int, int], align_corners: bool
) -> None:
    found = resize_flow(constant_flow(2.0, -3.0, *size), to, align_corners)
    expected = constant_flow(2.0 * to[1] / size[1], -3.0 * to[0] / size[0], *to)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("at_once", [1, 3 * 20, 1 << 25])
def test_half_precision_is_that_of_the_picture_not_of_the_place(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """Steps of half precision are 2 pixels wide at 2560: read from there, a picture would be another."""
    monkeypatch.setattr(warp_module, "_AT_ONCE", at_once)
    x, flow = torch.rand(1, 5, 1, 2600), constant_flow(-3.25, 0.0, 1, 2600)
    found = warp(x.half(), flow)
    assert found.dtype == torch.float16
    torch.testing.assert_close(found.float(), warp(x, flow), rtol=0, atol=1e-3)
