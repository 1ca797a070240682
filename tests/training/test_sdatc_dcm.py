"""SDATC's warm-up: it learns, stops and goes on exactly, and its file is a restorer like any other."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from textovsr.core.config import RecurrentConfig
from textovsr.core.degrade.operations import Resize, VideoCompression
from textovsr.core.errors import SettingError, WeightsError
from textovsr.core.restorers.dcm import DcmRestorer
from textovsr.core.restorers.loading import load_restorer
from textovsr.models.registry import load_network, read_metadata
from textovsr.models.sdatc.dcm import FULL, LIGHT, DcmConfig
from textovsr.training import sdatc_dcm
from textovsr.training.config import ClipConfig, MaterialConfig, OptimizerConfig, ValidationConfig
from textovsr.training.config_file import load_config, to_table
from textovsr.training.run import Run
from textovsr.training.sdatc_config import SdatcDcmConfig
from textovsr.training.sdatc_degradation import CompressionConfig, sample_compression

TINY = DcmConfig(channels=8, groups=1, depth=2, heads=2, upsampler="direct")


def configure(folder: Path, output: Path, **changes: Any) -> SdatcDcmConfig:
    """A run of four steps with a tiny network."""
    config = SdatcDcmConfig(
        data=folder,
        output=output,
        network=TINY,
        clips=ClipConfig(frames=2, size=128, film=0.0),
        material=MaterialConfig(film_clips=0, held_out=0),
        optimizer=OptimizerConfig(rate=5e-3, warmup=1, clip="all"),
        validation=ValidationConfig(every=0),
        steps=4,
        batch=1,
        save_every=2,
        workers=0,
        device="cpu",
    )
    return replace(config, **changes)


def tensors(path: Path) -> dict[str, Tensor]:
    return dict(load_network(path).state_dict())


@pytest.mark.parametrize("pixel", ["l1", "charbonnier"])
def test_the_loss_falls_and_the_file_restores(folder: Path, tmp_path: Path, pixel: str) -> None:
    losses: list[float] = []
    note = Run.note

    def listen(run: Run, found: dict[str, Tensor]) -> None:
        losses.append(float(found["loss"].detach()))
        note(run, found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "note", listen)
        path = sdatc_dcm.train(configure(folder, tmp_path / "run", steps=40, pixel=pixel))
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:5])
    restorer = load_restorer(path, RecurrentConfig(), torch.device("cpu"), 1 << 30)
    assert isinstance(restorer, DcmRestorer)
    assert restorer.network.config == TINY
    recipe = json.loads(read_metadata(path)["recipe"])
    assert (recipe["stage"], recipe["step"], recipe["network"]["channels"]) == ("sdatc-dcm", 40, 8)
    assert str(folder.parent) not in json.dumps(read_metadata(path))


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tensors(sdatc_dcm.train(configure(folder, tmp_path / "whole")))
    config, update = configure(folder, tmp_path / "cut"), Run.update

    def killed(run: Run) -> None:
        if run.step == 3:
            raise KeyboardInterrupt
        update(run)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "update", killed)
        with pytest.raises(KeyboardInterrupt):
            sdatc_dcm.train(config)
    resumed = tensors(sdatc_dcm.train(config))
    assert all(torch.equal(resumed[key], value) for key, value in whole.items())


def test_it_starts_from_a_file_and_looks_at_what_is_held_back(folder: Path, tmp_path: Path) -> None:
    first = sdatc_dcm.train(configure(folder, tmp_path / "first"))
    more = configure(folder, tmp_path / "more", network=None, start=str(first))
    more = replace(more, validation=ValidationConfig(every=2, data=folder, clips=1), steps=2)
    sdatc_dcm.train(more)
    rows = (tmp_path / "more" / "validation.csv").read_text().splitlines()
    assert rows[0].startswith("step,psnr_y,ssim_y,bicubic_psnr_y")
    assert len(rows) == 2
    assert len(list((tmp_path / "more" / "pictures").glob("*.png"))) == 1
    with pytest.raises(WeightsError, match="leave network out"):
        sdatc_dcm.train(replace(more, output=tmp_path / "other", network=LIGHT))


@pytest.mark.parametrize(("upsampler", "last"), [("direct", "upsample.0."), ("pixelshuffle", "conv_last.")])
def test_the_last_convolution_has_a_rate_of_its_own(folder: Path, tmp_path: Path, upsampler: str, last: str) -> None:
    network = replace(TINY, upsampler=upsampler)
    first = sdatc_dcm.train(configure(folder, tmp_path / "first", network=network, steps=1))
    more = configure(folder, tmp_path / "more", network=None, start=str(first), last=0.0, steps=1, ema=0.0)
    before, after = tensors(first), tensors(sdatc_dcm.train(more))
    same = {key for key, value in before.items() if torch.equal(value, after[key])}
    assert {key for key in before if key.startswith(last)} <= same
    assert "conv_first.weight" not in same


def draws(config: CompressionConfig, count: int = 400) -> list[list[Any]]:
    rng = np.random.default_rng(0)
    return [sample_compression((256, 512), config, rng) for _ in range(count)]


def test_clips_are_spoilt_as_the_paper_says() -> None:
    """Shrunk, then x264: half at qualities of 15 to 35, half at 10 to 100 kbit/s of 320x180 at 24 frames a second."""
    qualities, rates = [], []
    for shrink, video in draws(CompressionConfig()):
        assert shrink == Resize((64, 128), "bicubic", "downsample")
        assert isinstance(video, VideoCompression)
        assert video.codec == "libx264"
        if video.crf is None:
            rates.append(video.bits_per_pixel * 320 * 180 * 24)
        else:
            qualities.append(video.crf)
    assert 0.4 < len(rates) / 400 < 0.6
    assert (10e3 <= min(rates) < 15e3, 95e3 < max(rates) <= 100e3) == (True, True)
    assert (15 <= min(qualities) < 16, 34 < max(qualities) <= 35) == (True, True)


def test_other_chains_come_as_often_as_asked() -> None:
    chains = draws(CompressionConfig(light=0.3, second_order=0.2, clean=0.1, by_rate=0.0))
    lengths = [len(chain) for chain in chains]
    assert 0.2 < lengths.count(5) / 400 < 0.4
    assert 0.05 < lengths.count(1) / 400 < 0.15
    assert 0.1 < sum(length > 5 for length in lengths) / 400 < 0.3


def test_no_rate_is_lower_than_x264_counts() -> None:
    config = CompressionConfig(by_rate=1.0, rate_low=1.0, rate_high=1.0)
    (_, video) = sample_compression((64, 64), config, np.random.default_rng(0))
    assert video.bits_per_pixel * 16 * 16 * 25 > 1000  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("table", "match"),
    [({"light": 0.8, "clean": 0.3}, "add up"), ({"crf_low": 40.0}, "CRF"), ({"pixel_rate": 0.0}, "pixel_rate")],
)
def test_what_cannot_be_is_refused(table: dict[str, float], match: str) -> None:
    with pytest.raises(SettingError, match=match):
        CompressionConfig(**table)


def test_its_settings_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(
        'stage = "sdatc-dcm"\ndata = "d"\noutput = "o"\n[network]\npreset = "light"\ndepth = 2\n'
        "[compression]\ncrf_low = 20\n"
    )
    config = load_config(str(file))
    assert isinstance(config, SdatcDcmConfig)
    assert config.network == replace(LIGHT, depth=2)
    assert config.compression == CompressionConfig(crf_low=20.0)
    assert (config.steps, config.optimizer.rate, config.clips.frames, config.clips.size) == (20_000, 5e-5, 5, 512)
    assert to_table(config)["stage"] == "sdatc-dcm"
    file.write_text('stage = "sdatc-dcm"\ndata = "d"\noutput = "o"\nnetwork = "full"\n')
    assert load_config(str(file)).network == FULL  # type: ignore[attr-defined]
