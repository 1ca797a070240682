"""Stage 1: it runs, learns, stops and goes on exactly, and its file is a checkpoint like any other."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from textovsr.core.errors import DamagedWeightsError, JobRunningError, SettingError, WeightsError
from textovsr.models.registry import load_network, read_metadata, save_weights
from textovsr.tests.helpers.networks import TINY, save_tiny
from textovsr.tests.helpers.training import configure
from textovsr.training import run as run_module
from textovsr.training.config import ClipConfig, Losses, TrainConfig
from textovsr.training.data import Batch, ClipDataset
from textovsr.training.run import Progress, Run, open_run
from textovsr.training.stage1 import train


class Killed(Exception):
    """In place of a power cut."""


def tensors(path: Path) -> dict[str, Tensor]:
    return dict(load_network(path).state_dict())


def until_killed(monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    update = Run.update

    def killed(run: Run) -> None:
        if run.step == stop:
            raise Killed
        update(run)

    monkeypatch.setattr(Run, "update", killed)


def test_the_result_is_a_checkpoint_with_its_card(folder: Path, tmp_path: Path) -> None:
    path = train(configure(TrainConfig, folder, tmp_path / "run", steps=1))
    assert load_network(path).config == replace(TINY, negative=True)
    card = read_metadata(path)
    recipe = json.loads(card["recipe"])
    assert (recipe["stage"], recipe["step"], recipe["network"]["channels"]) == (1, 1, TINY.channels)
    assert recipe["clips"]["size"] == 64
    assert json.loads(card["data"]) == ["a.png", "b.jpg"]
    assert set(json.loads(card["metrics"])) == {"loss", "pixel", "cleaning", "negative"}
    assert str(folder.parent) not in json.dumps(card)


@pytest.mark.parametrize("stop", [2, 3])
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    folder: Path, tmp_path: Path, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tensors(train(configure(TrainConfig, folder, tmp_path / "whole")))
    config = configure(TrainConfig, folder, tmp_path / "cut")
    with monkeypatch.context() as patch:
        until_killed(patch, stop)
        with pytest.raises(Killed):
            train(config)
    resumed = tensors(train(config))
    assert all(torch.equal(resumed[key], value) for key, value in whole.items())


def test_workers_change_nothing(folder: Path, tmp_path: Path) -> None:
    alone = tensors(train(configure(TrainConfig, folder, tmp_path / "alone", steps=2)))
    helped = tensors(train(configure(TrainConfig, folder, tmp_path / "helped", steps=2, workers=1)))
    assert all(torch.equal(helped[key], value) for key, value in alone.items())


def test_accumulating_is_a_larger_batch(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gradients: list[Tensor] = []
    monkeypatch.setattr(Run, "update", lambda run: gradients.append(run.net.basicvsr.conv_hr.weight.grad.clone()))
    for batch, accumulate in ((2, 1), (1, 2), (1, 1)):
        output = tmp_path / f"{batch}{accumulate}"
        train(configure(TrainConfig, folder, output, steps=1, batch=batch, accumulate=accumulate))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-6)
    assert not torch.allclose(gradients[0], gradients[2], rtol=0.1)


def test_every_step_sees_the_samples_of_its_number(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []
    steps = Run.steps

    def noted(run: Run, report: Any) -> Iterator[list[Batch]]:
        for batches in steps(run, report):
            seen.extend(lr for batch in batches for lr in batch.lr)
            yield batches

    monkeypatch.setattr(Run, "steps", noted)
    config = configure(TrainConfig, folder, tmp_path / "run", batch=2, steps=2, save_every=1)
    train(config)
    train(replace(config, steps=3))
    with open_run(configure(TrainConfig, folder, tmp_path / "other")) as run:
        assert len(seen) == 6
        assert all(torch.equal(lr, run.dataset[index].lr) for index, lr in enumerate(seen))


def test_a_finished_run_is_left_alone(folder: Path, tmp_path: Path) -> None:
    config = configure(TrainConfig, folder, tmp_path / "run", steps=1)
    before = train(config).read_bytes()
    assert train(config).read_bytes() == before


def test_training_lowers_the_loss(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On one and the same sample, so that a few steps are enough."""
    monkeypatch.setattr(ClipDataset, "__getitem__", lambda self, _: self.sample(np.random.default_rng(5)))
    monkeypatch.setattr(run_module, "REPORT_EVERY", 1)
    monkeypatch.setattr(run_module, "_INERTIA", 0.0)
    told: list[Progress] = []
    losses = Losses(sharpen=0, negative=0)
    train(configure(TrainConfig, folder, tmp_path / "run", steps=12, losses=losses), told.append)
    assert told[-1].loss < 0.95 * told[0].loss
    assert str(told[5]).startswith("step 6/12, loss 0.")
    assert str(told[5]).endswith(" left")


def test_the_flow_rests_until_its_time_and_the_rate_falls(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[tuple[float, float]] = []
    update = Run.update

    def noted(run: Run) -> None:
        rates.append(tuple(group["lr"] for group in run.optimizer.param_groups))  # type: ignore[arg-type]
        update(run)

    monkeypatch.setattr(Run, "update", noted)
    config = configure(TrainConfig, folder, tmp_path / "run")
    optimizer = replace(config.optimizer, flow_frozen=2, warmup=2, schedule="cosine")
    train(replace(config, optimizer=optimizer))
    assert [flow for _, flow in rates[:2]] == [0.0, 0.0]
    assert min(flow for _, flow in rates[2:]) > 0
    assert [rate / 5e-3 for rate, _ in rates] == pytest.approx([0.5, 0.853553, 0.5, 0.146447], abs=1e-5)


@pytest.mark.parametrize(
    ("losses", "names"),
    [
        (Losses(cleaning=0, negative=0), {"pixel"}),
        (Losses(pixel=0, negative=0, edges=1, temporal=1), {"cleaning", "edges", "temporal"}),
        (Losses(), {"pixel", "cleaning", "negative"}),
    ],
)
def test_losses_are_switched_by_their_weights(folder: Path, tmp_path: Path, losses: Losses, names: set[str]) -> None:
    path = train(configure(TrainConfig, folder, tmp_path / "run", steps=1, losses=losses))
    metrics = json.loads(read_metadata(path)["metrics"])
    assert set(metrics) == {*names, "loss"}
    assert metrics["loss"] == pytest.approx(sum(getattr(losses, name) * metrics[name] for name in names))


def test_a_run_can_start_from_weights_and_gain_a_negative_branch(folder: Path, tmp_path: Path) -> None:
    start = save_tiny(tmp_path / "tiny.safetensors")
    config = configure(TrainConfig, folder, tmp_path / "run", start=str(start))
    with open_run(config) as run:
        own, theirs = run.net.state_dict(), load_network(start).state_dict()
        assert all(torch.equal(own[key], value) for key, value in theirs.items())
        assert len(own) > len(theirs)
    with open_run(replace(config, network=None, output=tmp_path / "as it is")) as run:
        assert not run.net.config.negative
        assert not run.dataset.bank
    with (
        pytest.raises(WeightsError, match="leave network out"),
        open_run(replace(config, network=replace(TINY, blocks=2))),
    ):
        pass


def test_a_new_network_can_have_the_text_encoder_of_another(folder: Path, tmp_path: Path) -> None:
    donor = save_tiny(tmp_path / "tiny.safetensors")
    config = configure(TrainConfig, folder, tmp_path / "run", text_encoder=str(donor))
    theirs = load_network(donor).state_dict()
    with open_run(config) as run:
        own = run.net.state_dict()
    taken = {key for key, value in theirs.items() if torch.equal(own[key], value)}
    assert {key for key in own if "text_encoder" in key} <= taken
    assert "basicvsr.text_proj.0.weight" not in taken
    clip = {key.partition("text_encoder.")[2]: value for key, value in theirs.items() if "text_encoder." in key}
    (tmp_path / "clip").mkdir()
    save_weights(clip, tmp_path / "clip" / "model.safetensors", {})  # as a CLIP of the user's own
    with open_run(replace(config, text_encoder=str(tmp_path / "clip"), output=tmp_path / "other")) as run:
        assert all(torch.equal(run.net.basicvsr.text_encoder.state_dict()[key], value) for key, value in clip.items())
    with (
        pytest.raises(WeightsError, match="text encoder of"),
        open_run(replace(config, network=replace(TINY, text=replace(TINY.text, hidden=16)))),
    ):
        pass


def test_two_runs_do_not_share_a_folder(folder: Path, tmp_path: Path) -> None:
    config = configure(TrainConfig, folder, tmp_path / "run")
    with open_run(config), pytest.raises(JobRunningError, match="another trains there"):
        train(config)


def test_a_loss_that_is_no_number_stops_before_anything_is_saved(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(TrainConfig, folder, tmp_path / "run", steps=1)
    train(config)
    before = (tmp_path / "run" / "state.pt").read_bytes()
    monkeypatch.setattr("textovsr.training.stage1.charbonnier", lambda x, _: x.mean() * float("nan"))
    with pytest.raises(SettingError, match=r"finite loss, got nan .* lower optimizer.rate"):
        train(replace(config, steps=2))
    assert (tmp_path / "run" / "state.pt").read_bytes() == before


def test_a_damaged_state_is_named(folder: Path, tmp_path: Path) -> None:
    config = configure(TrainConfig, folder, tmp_path / "run", steps=1)
    train(config)
    (tmp_path / "run" / "state.pt").write_bytes(b"PK broken")
    with pytest.raises(DamagedWeightsError, match="remove it to begin anew"):
        train(config)


def test_other_settings_on_the_way_are_told(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = configure(TrainConfig, folder, tmp_path / "run", steps=1)
    train(config)
    train(replace(config, steps=2, seed=9, clips=ClipConfig(frames=3, size=64, film=0)))
    assert "goes on with other settings than it began with: clips, seed." in caplog.text
