"""Training clips: shapes, ranges, and clip i from the seed and i alone."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from textovsr.core.config import EncodeConfig
from textovsr.core.errors import SettingError
from textovsr.core.video.color import BT709, ColorTags
from textovsr.core.video.encoders import VideoSpec
from textovsr.core.video.writer import VideoWriter
from textovsr.training.data import ClipConfig, ClipDataset, Sample

SMALL = ClipConfig(frames=3, size=64, film=0.5)


def write_film(path: Path, frames: int = 30) -> None:
    """A picture of 160x160 that moves, at 24 frames a second."""
    tags = ColorTags(matrix=BT709, primaries=BT709, transfer=BT709, full_range=False)
    spec = VideoSpec(160, 160, Fraction(1, 24), Fraction(24), Fraction(1), tags)
    noise = torch.rand(3, 20, 26, generator=torch.Generator().manual_seed(0))
    wide = noise.repeat_interleave(8, 1).repeat_interleave(8, 2)
    with VideoWriter(path, spec, EncodeConfig(crf=1)) as writer:
        for index in range(frames):
            writer.write(wide[:, :, index : index + 160], index, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures and a film."""
    made = tmp_path_factory.mktemp("material")
    rng = np.random.default_rng(0)
    for name, size in (("a.png", (90, 130)), ("b.jpg", (200, 120))):
        coarse = Image.fromarray(rng.integers(0, 255, (size[0] // 6, size[1] // 6, 3), dtype=np.uint8))
        coarse.resize(size[::-1], Image.Resampling.BICUBIC).save(made / name)
    write_film(made / "film.mp4")
    (made / "notes.txt").write_text("not a picture")
    return made


@pytest.fixture(scope="module")
def dataset(folder: Path) -> ClipDataset:
    """Clips of it."""
    return ClipDataset(folder, SMALL, seed=3, film_clips=4)


def same(a: Sample, b: Sample) -> bool:
    return torch.equal(a.hr, b.hr) and torch.equal(a.lr, b.lr) and a.prompt == b.prompt


def test_pictures_and_films_are_found(dataset: ClipDataset) -> None:
    assert [tuple(image.shape) for image in dataset.images] == [(3, 90, 130), (3, 200, 120)]
    assert dataset.film
    assert all(clip.shape == (3, 3, 80, 80) and clip.dtype == torch.uint8 for clip in dataset.film)


@pytest.mark.parametrize("index", range(12))
def test_a_sample_has_its_shape_and_range(dataset: ClipDataset, index: int) -> None:
    sample = dataset[index]
    assert sample.hr.shape == (3, 3, 64, 64)
    assert sample.lr.shape == (3, 3, 16, 16)
    assert all(0 <= clip.min() <= clip.max() <= 1 for clip in (sample.hr, sample.lr))


def test_a_sample_depends_on_the_seed_and_its_index_alone(dataset: ClipDataset, folder: Path) -> None:
    again = ClipDataset(folder, SMALL, seed=3, film_clips=4)
    forwards = [again[index] for index in range(4)]
    assert all(same(dataset[index], forwards[index]) for index in (3, 1, 0, 2))
    other = ClipDataset(folder, SMALL, seed=4, film_clips=4)
    assert not same(dataset[0], other[0])
    assert not same(dataset[0], dataset[1])


@pytest.mark.parametrize(("share", "with_text"), [(0.0, False), (1.0, True)])
def test_the_share_of_texts_is_as_asked(folder: Path, share: float, with_text: bool) -> None:
    dataset = ClipDataset(folder, ClipConfig(frames=2, size=64, film=0, text=share))
    assert all(bool(dataset[index].prompt) == with_text for index in range(5))


def test_clean_clips_are_only_shrunk(folder: Path) -> None:
    sample = ClipDataset(folder, ClipConfig(frames=2, size=64, film=0, clean=1.0, text=1.0))[0]
    assert sample.prompt == "downsample"
    shrunk = torch.nn.functional.interpolate(sample.hr, size=(16, 16), mode="bicubic", antialias=True).clamp(0, 1)
    torch.testing.assert_close(sample.lr, shrunk)


def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"images \(png, jpg\) in .*, got none"):
        ClipDataset(tmp_path, SMALL)
