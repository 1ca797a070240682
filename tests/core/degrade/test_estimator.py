"""Levels, words and probabilities of an estimate; where a picture is looked at."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from textovsr.core.degrade.estimator import ATTRIBUTES, LEVELS, Estimate, Estimator, _patches, combine
from textovsr.core.degrade.operations import Blur, GaussianNoise, ImageCompression, PoissonNoise, VideoCompression
from textovsr.models.degradation_net import PATCH


def estimate(*levels: int) -> Estimate:
    """That says these levels with certainty."""
    return Estimate(torch.tensor([[float(level > border) for border in range(3)] for level in levels]))


def test_the_text_has_the_words_and_the_order_of_the_chains() -> None:
    text = estimate(2, 0, 1, 3, 2).text
    assert text == "medium blur, downsample, light noise, heavy image compression, medium video compression"


def test_what_is_not_there_is_not_said() -> None:
    assert estimate(0, 0, 0, 0, 0).text == "downsample"
    assert estimate(0, 3, 0, 0, 1).text == "downsample, heavy upsample, light video compression"


@pytest.mark.parametrize(
    ("index", "at"),
    [
        (0, lambda value: Blur("iso", 9, (value, value))),
        (2, lambda value: GaussianNoise(value, True)),
        (3, lambda value: ImageCompression(value)),
        (4, lambda value: VideoCompression("libx264", crf=value)),
    ],
)
@pytest.mark.parametrize("position", [0.05, 0.3, 0.36, 0.63, 0.7, 0.95])
def test_the_bins_are_those_of_the_operations(index: int, at: object, position: float) -> None:
    attribute = ATTRIBUTES[index]
    value = attribute.low + position * (attribute.high - attribute.low)
    level = 1 + sum(position >= border for border in attribute.borders[1:])
    assert at(value).describe() == f"{LEVELS[level]} {attribute.name}"  # type: ignore[operator]


def test_shot_noise_has_the_same_words() -> None:
    assert PoissonNoise(0.1, True).describe().endswith(ATTRIBUTES[2].name)


@settings(deadline=None)
@given(evidence=st.lists(st.floats(0, 1), min_size=15, max_size=15))
def test_probabilities_are_never_negative_and_add_up(evidence: list[float]) -> None:
    found = combine([torch.tensor(evidence).view(5, 3)])
    assert (found.shares >= 0).all()
    torch.testing.assert_close(found.shares.sum(1), torch.ones(5))


def test_a_level_that_may_be_far_off_is_not_said() -> None:
    sure = Estimate(
        torch.tensor([[0.9, 0.9, 0.8], [0.9, 0.6, 0.1], [0.2, 0.1, 0.0], [1.0, 0.35, 0.3], [1.0, 0.2, 0.15]])
    )
    assert sure.levels == (3, 2, 0, 2, 1)  # light is likelier than medium in the fourth, but it may be heavy


def test_evidence_is_averaged() -> None:
    sure, doubtful = torch.full((5, 3), 1.0), torch.full((5, 3), 0.4)
    assert combine([sure, doubtful]).levels == (2,) * 5
    assert combine([sure, 0 * sure, doubtful]).levels == (1,) * 5


@settings(deadline=None)
@given(height=st.integers(16, 400), width=st.integers(16, 700))
def test_patches_lie_in_the_picture_and_reach_its_edges(height: int, width: int) -> None:
    y = torch.arange(height, dtype=torch.float32)[:, None].expand(height, width)
    x = torch.arange(width, dtype=torch.float32)[None].expand(height, width)
    picture = torch.stack((y, x, torch.zeros_like(y))).expand(3, 3, height, width)
    patches = list(_patches(picture))
    assert 1 <= len(patches) <= 48
    assert all(patch.shape == (3, 3, PATCH, PATCH) for patch in patches)
    assert patches[0][0, :2].amin() == 0
    if height >= 2 * PATCH and width >= 2 * PATCH:
        assert patches[-1][0, 0].max() == height - 1
        assert patches[-1][0, 1].max() == width - 1


class _Brightness(nn.Module):
    """The brighter a patch, the worse."""

    def forward(self, patches: Tensor) -> Tensor:
        return patches.mean(dim=(1, 2, 3, 4))[:, None, None].expand(-1, 5, 3)


def test_plain_patches_do_not_count() -> None:
    frames = torch.zeros(3, 3, 64, 256)
    frames[..., 192:] = 0.4 + 0.1 * torch.randn(64, 64, generator=torch.Generator().manual_seed(1))
    judged = Estimator(_Brightness(), torch.device("cpu")).judge(frames)  # type: ignore[arg-type]
    assert torch.logit(judged[0, 0]) == pytest.approx(0.1, abs=0.01)  # three of four are plain: all must count
    half = frames.clone()
    half[..., 128:192] = frames[..., 192:]
    half[..., 64:128] = frames[..., 192:]
    busy = Estimator(_Brightness(), torch.device("cpu")).judge(half)  # type: ignore[arg-type]
    assert torch.logit(busy[0, 0]) == pytest.approx(0.4, abs=0.01)
