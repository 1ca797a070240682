"""Animated photographs: geometry with known answers, smoothness, parallax and lettering."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from textovsr.training.config import ClipConfig
from textovsr.training.lettering import lettering
from textovsr.training.motion import animate, nearer, random_path, view

CONFIG = ClipConfig(frames=5, size=64)


def picture(seed: int = 0, size: int = 160) -> Tensor:
    noise = torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(noise, size=(size, size), mode="bicubic").clamp(0, 1)
    return (smooth[0] * 255).byte()


def shift(x: float, y: float) -> Tensor:
    matrix = torch.eye(3)
    matrix[0, 2], matrix[1, 2] = x, y
    return matrix[None]


def test_a_camera_that_stands_shows_the_picture() -> None:
    image = picture()
    seen = view(image, shift(0, 0), (79.5, 79.5), 64)
    torch.testing.assert_close(seen[0], image[:, 48:112, 48:112].float() / 255, rtol=0, atol=1e-3)


def test_a_camera_that_shifts_shows_what_is_there() -> None:
    image = picture()
    seen = view(image, shift(5, -3), (79.5, 79.5), 64)
    torch.testing.assert_close(seen[0], image[:, 45:109, 53:117].float() / 255, rtol=0, atol=1e-3)


def test_a_nearer_plane_shifts_further_and_turns_alike() -> None:
    path = random_path(5, np.random.default_rng(1))
    near = nearer(path, 0.5)
    assert torch.equal(near[:, :2, 2], 1.5 * path[:, :2, 2])
    assert torch.equal(near[:, :2, :2], path[:, :2, :2])


def test_paths_are_smooth_and_sometimes_stand_still() -> None:
    paths = [random_path(9, np.random.default_rng(seed)) for seed in range(60)]
    still = [bool((path == path[0]).all()) for path in paths]
    assert 2 <= sum(still) <= 20
    jumps = torch.stack([path[:, :2, 2].diff(dim=0).abs().max() for path in paths])
    assert jumps.max() < 40


@pytest.mark.parametrize("seed", range(6))
def test_a_clip_is_in_range_and_a_function_of_the_seed(seed: int) -> None:
    clips = [animate(lambda: picture(seed), CONFIG, np.random.default_rng(seed)) for _ in range(2)]
    assert clips[0].shape == (5, 3, 64, 64)
    assert 0 <= clips[0].min() <= clips[0].max() <= 1
    assert torch.equal(*clips)


def test_one_frame_is_a_clip() -> None:
    assert animate(picture, replace(CONFIG, frames=1), np.random.default_rng(0)).shape == (1, 3, 64, 64)


def test_most_clips_move() -> None:
    clips = [animate(picture, CONFIG, np.random.default_rng(seed)) for seed in range(30)]
    assert sum(float(clip.diff(dim=0).abs().mean()) > 1e-3 for clip in clips) >= 20


def test_lettering_covers_what_it_says() -> None:
    for seed in range(12):
        color, cover = lettering(128, np.random.default_rng(seed))
        assert (color.shape, cover.shape, cover.dtype) == ((3, 128, 128), (1, 128, 128), torch.uint8)
        assert cover.max() > 128


def test_letters_stand_out_from_their_outline_or_paper() -> None:
    """Where two colours are used they differ clearly, so that the lines can be read."""
    spans = [float(lettering(128, np.random.default_rng(seed))[0].float().mean(0).std()) for seed in range(20)]
    assert sum(span > 10 for span in spans) >= 5


def test_the_share_of_lettering_counts() -> None:
    def clip(share: float, seed: int) -> Tensor:
        return animate(picture, replace(CONFIG, lettering=share), np.random.default_rng(seed))

    assert any(not torch.equal(clip(0.0, seed), clip(1.0, seed)) for seed in range(4))
