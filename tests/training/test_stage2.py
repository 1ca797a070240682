"""Stage 2: both opponents learn, losses are switched, and a stopped run goes on exactly."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from textovsr.models.registry import load_network, read_metadata
from textovsr.tests.helpers.training import configure, small_vgg
from textovsr.training.checkpoint import STATE
from textovsr.training.config import Stage2Config, Stage2Losses
from textovsr.training.run import Run
from textovsr.training.stage2 import train

PLAIN = {"loss", "pixel", "cleaning", "negative"}
OPPONENT = {"adversarial", "discriminator_real", "discriminator_made"}


def metrics(path: Path) -> set[str]:
    return set(json.loads(read_metadata(path)["metrics"]))


@pytest.mark.parametrize(
    ("losses", "names"),
    [
        (Stage2Losses(adversarial=0, perceptual=0), set()),
        (Stage2Losses(), OPPONENT | {"perceptual"}),
        (Stage2Losses(perceptual=0, matching=1), OPPONENT | {"matching"}),
    ],
)
def test_losses_are_switched_by_their_weights(
    folder: Path, tmp_path: Path, losses: Stage2Losses, names: set[str]
) -> None:
    torch.save(small_vgg(), tmp_path / "vgg.pth")
    config = configure(Stage2Config, folder, tmp_path / "run", steps=1, losses=losses, vgg=tmp_path / "vgg.pth")
    assert metrics(train(config)) == PLAIN | names


def test_losses_without_their_network_on_the_disk_are_off_and_told(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = train(configure(Stage2Config, folder, tmp_path / "run", steps=1))
    assert metrics(path) == PLAIN | OPPONENT
    assert "The perceptual loss is off: no VGG19 on this disk" in caplog.text
    assert "The CLIP-IQA loss is off: no CLIP RN50 on this disk" in caplog.text
    assert json.loads(read_metadata(path)["recipe"])["stage"] == 2


class Killed(Exception):
    """In place of a power cut."""


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_network(train(configure(Stage2Config, folder, tmp_path / "whole"))).state_dict()
    config = configure(Stage2Config, folder, tmp_path / "cut")
    update = Run.update

    def killed(run: Run) -> None:
        if run.step == 3:
            raise Killed
        update(run)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "update", killed)
        with pytest.raises(Killed):
            train(config)
    resumed = load_network(train(config)).state_dict()
    assert all(torch.equal(resumed[key], value) for key, value in whole.items())
    states = [torch.load(tmp_path / name / STATE, weights_only=True)["discriminator"] for name in ("whole", "cut")]
    assert all(torch.equal(states[1][key], value) for key, value in states[0].items())


def test_each_learns_from_its_own_losses(folder: Path, tmp_path: Path) -> None:
    """A network of rate 0 stays while the discriminator learns, and the other way round."""
    config = configure(Stage2Config, folder, tmp_path / "a", steps=1, save_every=1)
    train(replace(config, optimizer=replace(config.optimizer, rate=0.0)))
    train(replace(config, output=tmp_path / "b", discriminator=replace(config.discriminator, rate=0.0)))
    a, b = (torch.load(tmp_path / name / STATE, weights_only=True) for name in "ab")
    key = "basicvsr.conv_hr.weight"
    assert not torch.equal(a["net"][key], b["net"][key])
    assert not torch.equal(a["discriminator"]["conv_0.weight"], b["discriminator"]["conv_0.weight"])
    moved = a["discriminator"]["conv_0.weight"] - b["discriminator"]["conv_0.weight"]
    assert float(moved.abs().max()) == pytest.approx(config.discriminator.rate, rel=0.05)


def test_low_precision_computes_every_loss(folder: Path, tmp_path: Path) -> None:
    torch.save(small_vgg(), tmp_path / "vgg.pth")
    losses = Stage2Losses(matching=1, edges=1, temporal=1)
    config = configure(
        Stage2Config, folder, tmp_path / "run", steps=1, losses=losses, precision="bf16", vgg=tmp_path / "vgg.pth"
    )
    assert metrics(train(config)) == PLAIN | OPPONENT | {"perceptual", "matching", "edges", "temporal"}
