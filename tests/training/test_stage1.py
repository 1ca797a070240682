"""Stage 1: it runs, learns, stops and goes on exactly, and its file is a checkpoint like any other."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from textovsr.models.registry import load_network, read_metadata
from textovsr.models.text_ovsr import TextOVSR
from textovsr.tests.helpers.networks import TINY
from textovsr.training import stage1
from textovsr.training.data import ClipConfig, Sample
from textovsr.training.stage1 import Stage1Config, basicvsr_flow, train


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one picture."""
    folder = tmp_path_factory.mktemp("material")
    noise = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((320, 240), Image.Resampling.BICUBIC).save(folder / "picture.png")
    return folder


def configure(material: Path, output: Path, **changes: object) -> Stage1Config:
    config = Stage1Config(
        data=material,
        output=output,
        network=TINY,
        clips=ClipConfig(frames=2, size=256, film=0.0),
        steps=4,
        batch=1,
        save_every=2,
        flow_frozen=1,
        workers=0,
    )
    return replace(config, **changes)  # type: ignore[arg-type]


def tensors(path: Path) -> dict[str, Tensor]:
    return dict(load_network(path).state_dict())


def test_the_result_is_a_checkpoint_with_its_recipe(material: Path, tmp_path: Path) -> None:
    path = train(configure(material, tmp_path / "run", steps=1))
    assert load_network(path).config == TINY
    recipe = json.loads(read_metadata(path)["recipe"])
    assert recipe["step"] == 1
    assert recipe["network"]["channels"] == TINY.channels
    assert recipe["clips"]["size"] == 256
    assert recipe["loss"] > 0


class Killed(Exception):
    """In place of a power cut."""


@pytest.mark.parametrize("stop", [2, 3])
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    material: Path, tmp_path: Path, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tensors(train(configure(material, tmp_path / "whole")))
    step = stage1._step

    def until_killed(*arguments: object) -> float:
        if arguments[-1] == stop:
            raise Killed
        return step(*arguments)  # type: ignore[arg-type]

    config = configure(material, tmp_path / "cut")
    monkeypatch.setattr(stage1, "_step", until_killed)
    with pytest.raises(Killed):
        train(config)
    monkeypatch.setattr(stage1, "_step", step)
    resumed = tensors(train(config))
    assert all(torch.equal(resumed[key], value) for key, value in whole.items())


def test_every_step_sees_the_samples_of_its_number(
    material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []

    def note(_: TextOVSR, samples: Sequence[Sample], *__: object) -> float:
        seen.extend(sample.lr for sample in samples)
        return 0.0

    monkeypatch.setattr(stage1, "_step", note)
    config = configure(material, tmp_path / "run", batch=2, steps=2, save_every=1)
    train(config)
    train(replace(config, steps=3))
    dataset = stage1.ClipDataset(material, config.clips, config.seed)
    assert len(seen) == 6
    assert all(torch.equal(lr, dataset[index].lr) for index, lr in enumerate(seen))


def test_a_finished_run_is_left_alone(material: Path, tmp_path: Path) -> None:
    config = configure(material, tmp_path / "run", steps=1)
    before = train(config).read_bytes()
    assert train(config).read_bytes() == before


def test_training_lowers_the_loss(material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On one and the same sample, so that a few steps are enough."""
    losses: list[float] = []
    step = stage1._step
    monkeypatch.setattr(stage1.ClipDataset, "__getitem__", lambda self, _: self.sample(np.random.default_rng(5)))

    def noted(*arguments: object) -> float:
        losses.append(step(*arguments))  # type: ignore[arg-type]
        return losses[-1]

    monkeypatch.setattr(stage1, "_step", noted)
    train(configure(material, tmp_path / "run", steps=8, rate=0.02, save_every=99))
    assert losses[-1] < losses[0]


def test_the_flow_rests_until_its_time(material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    monkeypatch.setattr(stage1, "_loss", lambda net, *_: next(net.parameters()).sum())
    make = stage1._optimizer

    def noted(net: TextOVSR, config: Stage1Config) -> torch.optim.Adam:
        optimizer = make(net, config)
        optimizer.register_step_pre_hook(lambda o, *_: rates.append(o.param_groups[1]["lr"]))
        return optimizer

    monkeypatch.setattr(stage1, "_optimizer", noted)
    train(configure(material, tmp_path / "run", flow_frozen=2))
    assert rates[:2] == [0.0, 0.0]
    assert min(rates[2:]) > 0


def test_the_flow_can_start_from_basicvsr(material: Path, tmp_path: Path) -> None:
    """BasicSR's layout: convolutions at every second place, without a name of their own."""
    own = TextOVSR(TINY).basicvsr.spynet.state_dict()
    theirs = {}
    for key, value in own.items():
        parts = key.split(".")
        if parts[0] == "basic_module":
            key = f"basic_module.{parts[1]}.basic_module.{2 * int(parts[3])}.{parts[5]}"
        theirs[f"spynet.{key}"] = torch.full_like(value, 0.5)
    assert set(basicvsr_flow({**theirs, "conv_last.weight": torch.ones(1)})) == set(own)
    torch.save({"params": theirs}, tmp_path / "basicvsr.pth")
    network = TextOVSR(TINY)
    stage1._initialise(network, tmp_path / "basicvsr.pth")
    assert all(bool((value == 0.5).all()) for value in network.basicvsr.spynet.state_dict().values())
