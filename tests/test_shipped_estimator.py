"""The estimator that ships: whole, small, described, and right about real footage spoilt in ways we know."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from textovsr.core.degrade.chain import sample_light
from textovsr.core.degrade.estimator import ATTRIBUTES, Estimate, Estimator, combine, load_estimator
from textovsr.core.degrade.estimator_truth import degrade_and_measure
from textovsr.core.degrade.operations import Blur, GaussianNoise, ImageCompression, Operation, Resize, VideoCompression
from textovsr.core.errors import DamagedWeightsError
from textovsr.core.video.reader import VideoReader
from textovsr.models import catalog
from textovsr.models.catalog import DEGRADATION, FOLDER, find_shipped, list_weights
from textovsr.models.registry import read_metadata
from textovsr.tests.helpers.threads import one_thread as one_thread

VALIDATE = Path(__file__).parent / "data" / "validate"
FRAMES = 7
BLUR, UPSAMPLE, NOISE, IMAGE, VIDEO = range(5)


@pytest.fixture(scope="module")
def estimator() -> Estimator:
    return load_estimator()


@pytest.fixture(scope="module")
def clips() -> list[Tensor]:
    """Real footage, (7,3,H,W) each."""
    found = []
    for name in ("bikes", "vtest"):
        with VideoReader(VALIDATE / f"{name}_hr.mkv") as reader:
            found.append(torch.stack([frame.image for _, frame in zip(range(FRAMES), reader, strict=False)]))
    return found


def judged(estimator: Estimator, clip: Tensor) -> Estimate:
    """As a shot is."""
    return combine([estimator.judge(clip[first : first + 3]) for first in (0, 4)])


def test_the_file_is_the_one_of_the_catalogue_and_nobody_chooses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = find_shipped(DEGRADATION)
    assert path.stat().st_size < 1_000_000
    assert DEGRADATION.name not in list_weights([])
    monkeypatch.setattr(catalog, "FOLDER", tmp_path)
    (tmp_path / DEGRADATION.file).write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedWeightsError, match="install the pack again"):
        find_shipped(DEGRADATION)


def test_the_model_card_is_complete() -> None:
    card = read_metadata(FOLDER / DEGRADATION.file)
    assert {"name", "licence", "data", "recipe", "hours", "hardware", "metrics"} <= set(card)
    assert json.loads(card["metrics"])["exact"] >= 0.7
    assert json.loads(card["metrics"])["within one"] >= 0.97


@pytest.mark.parametrize(
    ("attribute", "light", "heavy"),
    [
        (BLUR, [], [Blur("iso", 21, (3.0, 3.0))]),
        (NOISE, [GaussianNoise(3.0, False)], [GaussianNoise(28.0, False)]),
        (IMAGE, [ImageCompression(92.0)], [ImageCompression(30.0)]),
        (VIDEO, [VideoCompression("libx264", crf=19.0)], [VideoCompression("libx264", crf=38.0)]),
    ],
)
def test_more_of_one_thing_is_seen_as_more_of_it(
    estimator: Estimator, clips: list[Tensor], attribute: int, light: list[Operation], heavy: list[Operation]
) -> None:
    for clip in clips:
        shrink = Resize((clip.shape[-2] // 4, clip.shape[-1] // 4), "bicubic", "downsample")
        chains = [[*spoilt, shrink] if attribute == BLUR else [shrink, *spoilt] for spoilt in (light, heavy)]
        little, much = (judged(estimator, degrade_and_measure(clip, chain, 0)[0]) for chain in chains)
        assert much.levels[attribute] >= little.levels[attribute]
        assert much.exceeds[attribute].sum() > little.exceeds[attribute].sum() + 0.4  # of a level


def test_enlarged_footage_is_told_from_sharp(estimator: Estimator, clips: list[Tensor]) -> None:
    for clip in clips:
        height, width = clip.shape[-2] // 4, clip.shape[-1] // 4
        sharp = [Resize((height, width), "bicubic", "downsample")]
        enlarged = [Resize((height // 4, width // 4), "bicubic", "downsample"), Resize((height, width), "bicubic", "")]
        assert judged(estimator, degrade_and_measure(clip, sharp, 0)[0]).levels[UPSAMPLE] == 0
        assert judged(estimator, degrade_and_measure(clip, enlarged, 0)[0]).levels[UPSAMPLE] >= 2


def test_most_bins_of_the_upscaler_s_own_degradations_are_right(estimator: Estimator, clips: list[Tensor]) -> None:
    right, near, count = 0, 0, 0
    for index in range(10):
        clip = clips[index % 2]
        chain = sample_light((clip.shape[-2], clip.shape[-1]), np.random.default_rng(index))
        degraded, positions = degrade_and_measure(clip, chain, index)
        for found, position, attribute in zip(judged(estimator, degraded).levels, positions, ATTRIBUTES, strict=True):
            off = abs(max(found, 1) - max(sum(float(position) >= border for border in attribute.borders), 1))
            right, near, count = right + (off == 0), near + (off <= 1), count + 1
    assert right / count >= 0.7
    assert near / count >= 0.97
