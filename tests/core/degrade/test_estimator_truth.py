"""What is left of known degradations: a lone one is itself, a wiped-out one is gone."""

import math
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textovsr.core.degrade.estimator_truth import blur_left, degrade_and_measure, upsampling_left
from textovsr.core.degrade.operations import (
    Blur,
    GaussianNoise,
    ImageCompression,
    Operation,
    PoissonNoise,
    Resize,
    SincBlur,
    VideoCompression,
)
from textovsr.core.errors import SettingError

SIZE, SMALL = (256, 256), (64, 64)
SHRINK = Resize(SMALL, "bicubic", "downsample")
BLUR, UPSAMPLE, NOISE, IMAGE, VIDEO = range(5)


@pytest.fixture(scope="module")
def clip() -> Tensor:
    """Three frames of smooth random texture that moves, mid grey: (3,3,256,256)."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.randn((1, 3, 64, 64), generator=generator)
    texture = F.interpolate(coarse, SIZE, mode="bicubic")[0] * 0.12 + 0.5
    texture += 0.05 * torch.randn((3, *SIZE), generator=generator)
    return torch.stack([texture.roll(4 * t, dims=2) for t in range(3)]).clamp(0, 1)


def measure(clip: Tensor, *chain: Operation) -> list[float]:
    """The positions."""
    return degrade_and_measure(clip, chain, seed=5)[1].tolist()


@pytest.mark.parametrize("sigma", [0.5, 1.13, 2.0, 3.0])
def test_a_lone_gaussian_has_its_own_sigma(sigma: float) -> None:
    size = 2 * math.ceil(4 * sigma) + 1
    assert blur_left([Blur("iso", size, (sigma, sigma)), SHRINK], SIZE) == pytest.approx(sigma, abs=0.05)


def test_blurs_add_up_and_a_directed_one_counts_by_what_it_passes() -> None:
    one = blur_left([Blur("iso", 15, (1.5, 1.5)), SHRINK], SIZE)
    assert blur_left([Blur("iso", 15, (1.2, 1.2)), Blur("iso", 15, (0.9, 0.9)), SHRINK], SIZE) == pytest.approx(
        one, abs=0.1
    )
    assert 1.0 < blur_left([Blur("aniso", 25, (3.0, 1.0), 0.4), SHRINK], SIZE) < 3.0


def test_a_low_pass_beyond_what_shrinking_leaves_is_none() -> None:
    assert blur_left([SincBlur(21, 2.8), SHRINK], SIZE) < 0.5 < blur_left([SHRINK, SincBlur(21, 2.0)], SIZE)
    assert blur_left([SHRINK], SIZE) == pytest.approx(0.0, abs=0.05)


def test_enlarging_counts_as_blur_and_by_its_factor(clip: Tensor) -> None:
    chain = (Resize((32, 32), "bicubic", "downsample"), Resize(SMALL, "bicubic", "upsample"))
    assert upsampling_left(chain, SMALL) == 2.0
    found = measure(clip, *chain)
    assert found[UPSAMPLE] == pytest.approx(1 / 3)
    assert found[BLUR] > 2 / 3


@pytest.mark.parametrize(("noise", "sigma"), [(GaussianNoise(15.0, True), 15.0), (PoissonNoise(1.0, True), 11.3)])
def test_lone_noise_has_its_own_strength(clip: Tensor, noise: Operation, sigma: float) -> None:
    assert measure(clip, SHRINK, noise)[NOISE] == pytest.approx((sigma - 1) / 29, abs=0.03)


def test_shrinking_averages_noise_away(clip: Tensor) -> None:
    late, early = measure(clip, SHRINK, GaussianNoise(24.0, True)), measure(clip, GaussianNoise(24.0, True), SHRINK)
    assert late[NOISE] > 2 / 3
    assert early[NOISE] < 1 / 3


def test_a_low_bit_rate_wipes_out_noise_and_image_compression(clip: Tensor) -> None:
    chain = (SHRINK, GaussianNoise(20.0, True), ImageCompression(60.0))
    before, after = measure(clip, *chain), measure(clip, *chain, VideoCompression("libx264", crf=40.0))
    assert after[NOISE] < before[NOISE] - 0.1
    assert after[IMAGE] < before[IMAGE] - 0.3
    assert after[VIDEO] > 2 / 3


@pytest.mark.parametrize("quality", [85.0, 62.0, 40.0])
def test_a_lone_jpeg_has_its_own_quality(clip: Tensor, quality: float) -> None:
    assert measure(clip, SHRINK, ImageCompression(quality))[IMAGE] == pytest.approx((95 - quality) / 65, abs=0.1)


@pytest.mark.parametrize("crf", [22.0, 30.0, 36.0])
def test_a_lone_h264_has_its_own_crf(clip: Tensor, crf: float) -> None:
    assert measure(clip, SHRINK, VideoCompression("libx264", crf=crf))[VIDEO] == pytest.approx((crf - 18) / 20, abs=0.1)


def test_all_encoders_count_together(clip: Tensor) -> None:
    rough, fine = VideoCompression("libx264", crf=36.0), VideoCompression("libx264", crf=18.0)
    twice = measure(clip, SHRINK, rough, fine)[VIDEO]
    assert twice == pytest.approx(measure(clip, SHRINK, rough)[VIDEO], abs=0.1)
    assert twice > measure(clip, SHRINK, fine)[VIDEO] + 0.5


def test_nothing_done_is_nothing_left(clip: Tensor) -> None:
    blur, upsample, noise, image, video = measure(clip, SHRINK)
    assert blur < 0
    assert upsample == 0
    assert max(noise, image, video) < 0


def test_the_degraded_clip_is_the_chain_s(clip: Tensor) -> None:
    chain: Sequence[Operation] = (SHRINK, GaussianNoise(10.0, False))
    one, two = (degrade_and_measure(clip, chain, seed)[0] for seed in (1, 2))
    torch.testing.assert_close(one, degrade_and_measure(clip, chain, 1)[0], rtol=0, atol=0)
    assert not torch.equal(one, two)
    assert one.shape == (3, 3, *SMALL)


def test_a_chain_that_ends_at_another_size_is_refused(clip: Tensor) -> None:
    with pytest.raises(SettingError, match="ends at a quarter of the size"):
        degrade_and_measure(clip, [Resize((128, 128), "bicubic", "downsample")], 0)
