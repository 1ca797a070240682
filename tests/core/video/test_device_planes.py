"""Samples made on a graphics card are those that a CPU makes; here on the CPU, where the arithmetic is the same."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textovsr.core.video import color
from textovsr.core.video.color import BT709, BT2020, ColorTags, from_rgb
from textovsr.core.video.device_planes import device_planes
from textovsr.core.video.planes import pixel_layout, samples

FORMATS = ("yuv420p", "yuv422p10le", "yuv444p", "yuv420p10le", "yuv444p12le")


@settings(deadline=None, max_examples=60)
@given(
    width=st.integers(1, 70),
    height=st.integers(1, 50),
    name=st.sampled_from(FORMATS),
    full=st.booleans(),
    matrix=st.sampled_from([BT709, BT2020]),
)
def test_they_are_the_same_to_the_last_bit(width: int, height: int, name: str, full: bool, matrix: int) -> None:
    tags = ColorTags(matrix, matrix, 1, full)
    image = torch.rand(3, height, width, generator=torch.Generator().manual_seed(width * height)) * 1.2 - 0.1
    layout = pixel_layout(name)
    frame = from_rgb(image, name, tags)
    q = color._Quantisation.of(layout.bits, full)
    scales = np.array([q.luma_scale, q.chroma_scale, q.chroma_scale])
    found = device_planes(image, layout, color.yuv_matrix(matrix) * scales[:, None], (q.luma_offset, q.chroma_offset))
    for index, plane in enumerate(found):
        assert plane.dtype == (torch.uint8 if layout.bits == 8 else torch.int16)
        np.testing.assert_array_equal(plane.numpy(), samples(frame, index, layout.bits))


def test_a_frame_on_a_graphics_card_goes_that_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """The card is one in name only: everything after the question where the picture is, is as on one."""
    image = torch.rand(3, 30, 40)
    expected = from_rgb(image, "yuv420p", ColorTags(BT709, BT709, 1, False))
    calls: list[int] = []

    def made(*arguments: object) -> list[torch.Tensor]:
        calls.append(1)
        return device_planes(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(color, "device_planes", made)
    monkeypatch.setattr(torch.Tensor, "is_cuda", property(lambda _: True))
    found = from_rgb(image, "yuv420p", ColorTags(BT709, BT709, 1, False))
    assert calls == [1]
    for index in range(3):
        np.testing.assert_array_equal(samples(found, index, 8), samples(expected, index, 8))
