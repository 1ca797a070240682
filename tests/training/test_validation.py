"""Validation: figures and pictures of the same held-back clips, and a table that goes on after a kill."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from textovsr.core.quality.fidelity import psnr_y
from textovsr.models.registry import load_network, read_metadata
from textovsr.tests.helpers.networks import tiny_network
from textovsr.tests.helpers.training import configure
from textovsr.training.config import MaterialConfig, TrainConfig, ValidationConfig
from textovsr.training.data import collate
from textovsr.training.run import open_run
from textovsr.training.stage1 import train
from textovsr.training.validation import Validation


@pytest.fixture
def config(folder: Path, tmp_path: Path) -> TrainConfig:
    looked_at = ValidationConfig(every=2, data=folder, clips=2)
    return configure(TrainConfig, folder, tmp_path / "run", steps=3, validation=looked_at)


def rows(config: TrainConfig) -> list[dict[str, str]]:
    with (config.output / "validation.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_figures_and_pictures_are_written(config: TrainConfig) -> None:
    card = read_metadata(train(config))
    table = rows(config)
    assert [row["step"] for row in table] == ["2", "3"]
    assert {"psnr_y", "ssim_y", "bicubic_psnr_y", "loss", "pixel"} <= set(table[0])
    names = sorted(path.name for path in (config.output / "pictures").iterdir())
    assert names == [f"clip{clip}-step000000{step}.png" for clip in (0, 1) for step in (2, 3)]
    assert json.loads(card["metrics"])["psnr_y"] == pytest.approx(float(table[1]["psnr_y"]), rel=1e-4)


def test_a_picture_shows_before_after_and_truth(config: TrainConfig) -> None:
    path = train(config)
    with open_run(replace(config, output=config.output / "other")) as run:
        sample = run.validation._samples[0]
    picture = np.asarray(Image.open(config.output / "pictures" / "clip0-step0000003.png"))
    assert picture.shape == (64, 3 * 64, 3)
    truth = (sample.hr[1] * 255).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(picture[:, 128:], truth)
    net, batch = load_network(path), collate([sample])
    with torch.inference_mode():
        cleaned = net.clean(batch.lr[0])[None]  # type: ignore[operator]
        ids, mask = (x[batch.prompts.rows].repeat(2, 1) for x in batch.prompts[:2])
        out = net.upscale(cleaned, ids, mask)[0].clamp(0, 1)  # type: ignore[operator]
    after = out[1].permute(1, 2, 0).numpy() * 255
    assert np.abs(picture[:, 64:128] - after).max() < 2  # the file's weights are fp16
    figures = [float(row["psnr_y"]) for row in rows(config)]
    assert min(figures) - 9 < psnr_y(out, sample.hr) < max(figures) + 9


def test_the_clips_are_the_same_each_time_and_always_told_what_is_wrong(config: TrainConfig) -> None:
    with open_run(config) as run:
        first, again = run.validation, Validation(config, run.material, run.device)
        assert all(torch.equal(a.lr, b.lr) for a, b in zip(first._samples, again._samples, strict=True))
        assert all(sample.degradation in sample.prompt for sample in first._samples)


def test_rows_that_a_killed_run_had_not_saved_are_taken_out(config: TrainConfig) -> None:
    train(config)
    with open_run(config) as run:
        run.validation.forget_after(2)
        assert [row["step"] for row in rows(config)] == ["2"]
        assert run.validation.latest["psnr_y"] == float(rows(config)[0]["psnr_y"])
        run.validation.forget_after(1)
        assert not (config.output / "validation.csv").exists()


def test_looking_changes_nothing(config: TrainConfig) -> None:
    seen = load_network(train(config)).state_dict()
    blind = replace(config, output=config.output / "blind", validation=ValidationConfig(every=0))
    unseen = load_network(train(blind)).state_dict()
    assert all(torch.equal(unseen[key], value) for key, value in seen.items())


def test_nothing_to_hold_back_is_told(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    looked_at = ValidationConfig(every=1)
    config = configure(
        TrainConfig, folder, tmp_path / "run", steps=1, validation=looked_at, material=MaterialConfig(film_clips=0)
    )
    train(config)
    assert "too little material to hold some back" in caplog.text
    assert not (tmp_path / "run" / "validation.csv").exists()


def test_figures_may_come_from_any_network(config: TrainConfig) -> None:
    with open_run(config) as run:
        run.validation.look(tiny_network(), 7, {"loss": 0.25})
    assert rows(config) == [{"step": "7", **{k: v for k, v in rows(config)[0].items() if k != "step"}}]
    assert rows(config)[0]["loss"] == "0.25"
