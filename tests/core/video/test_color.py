"""Colour conversion: exact against the definition, reversible within one code value."""

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textovsr.core.errors import ShapeError
from textovsr.core.video.color import BT709, SMPTE170M, ColorTags, from_rgb, read_tags, to_rgb, yuv_matrix
from textovsr.core.video.pool import TensorPool

MATRICES = [0, 1, 4, 5, 6, 7, 8, 9]


def planes(frame: av.VideoFrame) -> list[np.ndarray]:
    dtype = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
    return [np.frombuffer(p, dtype).reshape(p.height, -1)[:, : p.width].copy() for p in frame.planes]


def yuv_frame(values: list[np.ndarray], pix_fmt: str) -> av.VideoFrame:
    height, width = values[0].shape
    frame = av.VideoFrame(width, height, pix_fmt)
    for plane, value in zip(frame.planes, values, strict=True):
        dtype = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
        np.frombuffer(plane, dtype).reshape(plane.height, -1)[:, : plane.width] = value
    return frame


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv444p10le", "yuv444p12le"])
@pytest.mark.parametrize("full_range", [False, True])
@settings(max_examples=20, deadline=None)
@given(matrix=st.sampled_from(MATRICES), seed=st.integers(0, 2**32 - 1))
def test_444_survives_the_round_trip(pix_fmt: str, full_range: bool, matrix: int, seed: int) -> None:
    tags = ColorTags(matrix, 1, 1, full_range)
    image = torch.rand(3, 9, 21, generator=torch.Generator().manual_seed(seed))
    first = from_rgb(image, pix_fmt, tags)
    again = from_rgb(to_rgb(first, tags.for_encoding()), pix_fmt, tags)
    for a, b in zip(planes(first), planes(again), strict=True):
        assert np.abs(a.astype(int) - b.astype(int)).max() <= 1


@settings(max_examples=30, deadline=None)
@given(
    pix_fmt=st.sampled_from(["yuv420p", "yuv422p10le", "yuv444p"]),
    sizes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=2, max_size=4),
    seed=st.integers(0, 2**32 - 1),
)
def test_memory_used_again_changes_no_picture(pix_fmt: str, sizes: list[tuple[int, int]], seed: int) -> None:
    tags, pool, generator = ColorTags(BT709, 1, 1, False), TensorPool(), torch.Generator().manual_seed(seed)
    for height, width in sizes:
        image = torch.rand(3, height, width, generator=generator)
        frame = from_rgb(image, pix_fmt, tags, pool)
        for found, expected in zip(planes(frame), planes(from_rgb(image, pix_fmt, tags)), strict=True):
            np.testing.assert_array_equal(found, expected)
        assert torch.equal(to_rgb(frame, tags, pool), to_rgb(frame, tags))


@pytest.mark.parametrize(
    ("code", "full_range", "yuv", "rgb"),
    [
        (BT709, False, (63, 102, 240), (1.0, 0.0, 0.0)),  # BT.709 red, 8 bits, from the standard's equations
        (BT709, False, (173, 42, 26), (0.0, 1.0, 0.0)),
        (SMPTE170M, False, (81, 90, 240), (1.0, 0.0, 0.0)),
        (SMPTE170M, False, (41, 240, 110), (0.0, 0.0, 1.0)),
        (BT709, False, (235, 128, 128), (1.0, 1.0, 1.0)),
        (BT709, True, (255, 128, 128), (1.0, 1.0, 1.0)),
        (BT709, True, (0, 128, 128), (0.0, 0.0, 0.0)),
    ],
)
def test_primary_colours(code: int, full_range: bool, yuv: tuple[int, ...], rgb: tuple[float, ...]) -> None:
    tags = ColorTags(code, 1, 1, full_range)
    image = to_rgb(yuv_frame([np.full((4, 4), v) for v in yuv], "yuv444p"), tags)
    torch.testing.assert_close(image[:, 2, 2], torch.tensor(rgb), atol=0.01, rtol=0)
    solid = torch.tensor(rgb)[:, None, None].expand(3, 4, 4)
    assert [int(p[0, 0]) for p in planes(from_rgb(solid, "yuv444p", tags))] == list(yuv)


@pytest.mark.parametrize(
    "pix_fmt", ["yuv420p", "yuv422p", "yuv420p10le", "yuv422p10le", "yuv411p", "yuv410p", "yuv440p"]
)
def test_subsampling_keeps_smooth_colours_in_place(pix_fmt: str) -> None:
    """A ramp is linear, so interpolation reproduces it away from the borders if the chroma position is right."""
    ramp = torch.linspace(0.2, 0.8, 64)
    image = torch.stack([ramp.expand(48, 64), ramp.flip(0).expand(48, 64), ramp[:48, None].expand(48, 64)])
    tags = ColorTags(BT709, 1, 1, False)
    back = to_rgb(from_rgb(image, pix_fmt, tags), tags)
    assert (back - image)[:, 12:-12, 12:-12].abs().max() < 2.5 / 219


@pytest.mark.parametrize("pix_fmt", ["rgb24", "bgr24", "gbrp", "rgba", "bgr0"])
def test_rgb_formats_are_exact(pix_fmt: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 10, 3), dtype=np.uint8)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pix_fmt)
    image = to_rgb(frame, read_tags(frame, "rawvideo"))
    expected = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    torch.testing.assert_close(image, expected, atol=1e-6, rtol=0)


def test_deep_rgb_formats_are_exact() -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (7, 10, 3)).astype(np.uint16)
    packed = av.VideoFrame.from_ndarray(pixels, format="rgb48le")
    expected = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)
    torch.testing.assert_close(to_rgb(packed, read_tags(packed, "png")), expected / 65535)
    planar = yuv_frame([pixels[..., i] >> 6 for i in (1, 2, 0)], "gbrp10le")
    deep = torch.from_numpy((pixels >> 6).astype(np.float32)).permute(2, 0, 1)
    torch.testing.assert_close(to_rgb(planar, read_tags(planar, "ffv1")), deep / 1023)


@pytest.mark.parametrize("pix_fmt", ["gray", "gray10le", "nv12", "yuyv422", "p010le", "yuva420p", "ya8", "rgb565le"])
def test_other_formats_can_be_read(pix_fmt: str) -> None:
    pixels = np.full((8, 16, 3), 128, np.uint8)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=pix_fmt)
    image = to_rgb(frame, read_tags(frame, "rawvideo"))
    assert image.shape == (3, 8, 16)
    assert (image - 128 / 255).abs().max() < (0.05 if pix_fmt == "rgb565le" else 0.012)


@pytest.mark.parametrize(
    ("size", "matrix", "primaries"),
    [((1280, 536), 1, 1), ((960, 720), 1, 1), ((720, 576), 5, 5), ((720, 480), 6, 6), ((320, 240), 6, 1)],
)
def test_untagged_video_is_read_as_players_do(size: tuple[int, int], matrix: int, primaries: int) -> None:
    tags = read_tags(av.VideoFrame(*size, "yuv420p"), "h264")
    assert (tags.matrix, tags.primaries, tags.full_range, tags.guessed) == (matrix, primaries, False, True)


def test_range_follows_the_format_where_untagged() -> None:
    assert read_tags(av.VideoFrame(16, 16, "yuvj420p"), "mjpeg").full_range
    assert read_tags(av.VideoFrame(16, 16, "yuvj420p"), "mjpeg").centred_chroma
    assert read_tags(av.VideoFrame(16, 16, "gray"), "h264").full_range
    assert read_tags(av.VideoFrame(16, 16, "rgb24"), "gif").matrix == 0


def test_rgb_is_encoded_as_bt709() -> None:
    tags = ColorTags(0, 1, 13, True, guessed=True).for_encoding()
    assert (tags.matrix, tags.primaries, tags.transfer, tags.full_range) == (1, 1, 1, False)


def test_the_matrix_of_bt709_is_that_of_the_standard() -> None:
    np.testing.assert_allclose(yuv_matrix(1)[1], [-0.2126 / 1.8556, -0.7152 / 1.8556, 0.5], atol=1e-12)


def test_values_outside_the_range_are_clamped() -> None:
    frame = from_rgb(torch.tensor([2.0, 2.0, 2.0])[:, None, None].expand(3, 4, 4), "yuv444p", ColorTags(1, 1, 1, False))
    assert int(planes(frame)[0].max()) == 235


def test_a_clip_is_not_an_image() -> None:
    with pytest.raises(ShapeError, match=r"shape \(3,H,W\), got \(2, 3, 4, 4\)"):
        from_rgb(torch.zeros(2, 3, 4, 4), "yuv420p", ColorTags(1, 1, 1, False))
