"""Training clips: shapes, ranges, texts, and clip i from the seed and i alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from textovsr.training.config import ClipConfig, MaterialConfig
from textovsr.training.data import ClipDataset, Sample, collate, to_device
from textovsr.training.material import Material, open_folder
from textovsr.training.noise_bank import synthesise

SMALL = ClipConfig(frames=3, size=64, film=0.5, clean=0.3, light=0.7)


@pytest.fixture(scope="module")
def material(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Material:
    return open_folder(folder, SMALL, MaterialConfig(film_clips=4), tmp_path_factory.mktemp("cache"))


def pictures(material: Material) -> Material:
    return replace(material, film=[])


def same(a: Sample, b: Sample) -> bool:
    return torch.equal(a.hr, b.hr) and torch.equal(a.lr, b.lr) and a.prompt == b.prompt


@pytest.mark.parametrize("index", range(8))
def test_a_sample_has_its_shape_and_range(material: Material, index: int) -> None:
    sample = ClipDataset(material, SMALL, seed=3)[index]
    assert sample.hr.shape == (3, 3, 64, 64)
    assert sample.lr.shape == (3, 3, 16, 16)
    assert all(0 <= clip.min() <= clip.max() <= 1 for clip in (sample.hr, sample.lr))


def test_the_rest_gets_the_second_order_chain(material: Material) -> None:
    config = ClipConfig(frames=2, size=128, film=0, clean=0, light=0, text=1)
    sample = ClipDataset(pictures(material), config)[1]
    assert sample.lr.shape == (2, 3, 32, 32)
    assert sample.prompt.count("compression") == 4
    assert sample.prompt.count("noise") == 2


def test_a_sample_depends_on_the_seed_and_its_index_alone(material: Material) -> None:
    dataset, again = ClipDataset(material, SMALL, seed=3), ClipDataset(material, SMALL, seed=3)
    forwards = [again[index] for index in range(4)]
    assert all(same(dataset[index], forwards[index]) for index in (3, 1, 0, 2))
    assert not same(dataset[0], ClipDataset(material, SMALL, seed=4)[0])
    assert not same(dataset[0], dataset[1])


@pytest.mark.parametrize(("share", "told"), [(0.0, False), (1.0, True)])
def test_the_share_of_texts_is_as_asked(material: Material, share: float, told: bool) -> None:
    dataset = ClipDataset(pictures(material), replace(SMALL, frames=1, text=share, caption=0))
    for index in range(4):
        assert dataset[index].degradation
        assert dataset[index].prompt == (dataset[index].degradation if told else "")


def test_a_caption_is_told_with_its_picture_alone(material: Material) -> None:
    config = replace(SMALL, frames=1, film=0, text=0, caption=1)
    dataset = ClipDataset(pictures(material), config)
    assert {dataset[index].prompt for index in range(12)} == {"", "a cat"}
    assert {ClipDataset(material, replace(config, caption=0))[index].prompt for index in range(4)} == {""}


def test_clean_clips_are_only_shrunk(material: Material) -> None:
    sample = ClipDataset(pictures(material), replace(SMALL, frames=2, clean=1.0, light=0, text=1.0))[0]
    assert sample.degradation == "downsample"
    shrunk = torch.nn.functional.interpolate(sample.hr, size=(16, 16), mode="bicubic", antialias=True).clamp(0, 1)
    torch.testing.assert_close(sample.lr, shrunk)


def test_a_bank_brings_noise_and_turns(material: Material) -> None:
    sample = ClipDataset(material, SMALL, bank=synthesise(1))[0]
    assert sample.noise.shape == sample.lr.shape
    assert sample.turns.shape == (16, 16)
    assert ClipDataset(material, SMALL)[0].noise.numel() == 0


def test_a_batch_holds_each_text_once(material: Material) -> None:
    still = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 16, 16)
    batch = collate([Sample(*still, prompt, "downsample") for prompt in ("b", "a", "b")])
    batch = to_device(batch, torch.device("cpu"))
    assert batch.hr.shape == (3, 1, 3, 64, 64)
    assert (batch.prompts.ids.shape, batch.prompts.rows.tolist()) == ((2, 77), [1, 0, 1])
    assert (batch.degradations.ids.shape, batch.degradations.rows.tolist()) == ((1, 77), [0, 0, 0])
