"""SDATC's two stages on a small Stable Diffusion: they learn, stop and go on exactly, and leave what restores."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from textovsr import cli
from textovsr.core.errors import UnknownCheckpointError
from textovsr.core.restorers.sdatc.loading import SdatcFiles, load_sdatc_parts
from textovsr.models.registry import read_metadata, save_weights
from textovsr.models.sdatc.dcm import Dcm
from textovsr.tests.helpers.sdatc import TINY, TINY_DCM, tiny_networks, tiny_unet, tiny_vae
from textovsr.tests.helpers.training import small_vgg
from textovsr.training import sdatc_stage1, sdatc_stage2
from textovsr.training.config import (
    ClipConfig,
    DiscriminatorConfig,
    MaterialConfig,
    OptimizerConfig,
    RunConfig,
    ValidationConfig,
)
from textovsr.training.run import Run
from textovsr.training.sdatc_config import (
    BaseConfig,
    PairsConfig,
    SdatcLosses,
    SdatcStage1Config,
    SdatcStage2Config,
)

Train = Callable[[Any], Path]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseConfig:
    """Small networks of Stable Diffusion's kind in files, and a DCM."""
    folder = tmp_path_factory.mktemp("base")
    networks = {"unet": tiny_unet(), "vae": tiny_vae(), "text": tiny_networks()["text"]}
    for name, network in networks.items():
        save_file(network.state_dict(), folder / f"{name}.safetensors")
    torch.manual_seed(0)
    save_weights(Dcm(TINY_DCM).state_dict(), folder / "dcm.safetensors", {})
    return BaseConfig(*(folder / f"{name}.safetensors" for name in networks))


def common(folder: Path, output: Path) -> dict[str, Any]:
    """Four steps with clips of 2 frames of 64x64."""
    return {
        "data": folder,
        "output": output,
        "clips": ClipConfig(frames=2, size=64, film=0.0),
        "material": MaterialConfig(film_clips=0, held_out=0),
        "optimizer": OptimizerConfig(rate=3e-3, warmup=1, clip="all"),
        "validation": ValidationConfig(every=0),
        "steps": 4,
        "batch": 1,
        "save_every": 2,
        "workers": 0,
        "device": "cpu",
    }


def first(folder: Path, output: Path, base: BaseConfig, **changes: Any) -> SdatcStage1Config:
    """A run of stage 1."""
    start = str(base.unet.with_name("dcm.safetensors"))
    return replace(SdatcStage1Config(base=base, start=start, sizes=TINY, **common(folder, output)), **changes)


def second(folder: Path, output: Path, base: BaseConfig, start: Path, **changes: Any) -> SdatcStage2Config:
    """A run of stage 2, its discriminator from the third step on."""
    config = SdatcStage2Config(
        base=base,
        start=start,
        pairs=PairsConfig(count=2, steps=2),
        losses=SdatcLosses(adversarial_from=2),
        discriminator=DiscriminatorConfig(channels=4),
        **common(folder, output),
    )
    return replace(config, **changes)


@pytest.fixture(scope="module")
def stage1(folder: Path, base: BaseConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a short stage 1, that looked at what its DCM makes of a clip."""
    output = tmp_path_factory.mktemp("stage1")
    validation = ValidationConfig(every=4, data=folder, clips=1)
    path = sdatc_stage1.train(first(folder, output, base, validation=validation))
    assert len((output / "validation.csv").read_text().splitlines()) == 2
    return path


def losses_of(train: Train, config: RunConfig) -> dict[str, list[float]]:
    """Train, and tell every loss of every step."""
    found: dict[str, list[float]] = {}
    note = Run.note

    def listen(run: Run, losses: dict[str, Tensor]) -> None:
        for name, value in losses.items():
            found.setdefault(name, []).append(float(value.detach()))
        note(run, losses)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "note", listen)
        train(config)
    return found


def test_the_loss_of_stage_1_falls(folder: Path, tmp_path: Path, base: BaseConfig) -> None:
    found = losses_of(sdatc_stage1.train, first(folder, tmp_path, base, steps=20, frugal=False))
    assert np.mean(found["noise"][-5:]) < 0.9 * np.mean(found["noise"][:5])
    assert found["loss"][3] == pytest.approx(found["noise"][3] + 0.1 * found["dcm"][3])


def test_the_loss_of_stage_2_falls(folder: Path, tmp_path: Path, base: BaseConfig, stage1: Path) -> None:
    losses = SdatcLosses(adversarial=0.0, temporal=0.0, warp=0.0, perceptual=0.0)
    found = losses_of(sdatc_stage2.train, second(folder, tmp_path, base, stage1, losses=losses, steps=12, frugal=False))
    assert np.mean(found["loss"][-5:]) < 0.9 * np.mean(found["loss"][:5])


def test_every_loss_of_stage_2_counts(folder: Path, tmp_path: Path, base: BaseConfig, stage1: Path) -> None:
    vgg = tmp_path / "vgg.safetensors"
    save_file(small_vgg(), vgg)
    config = second(folder, tmp_path / "run", base, stage1, vgg=vgg)
    found = losses_of(sdatc_stage2.train, config)
    counts = {name: len(values) for name, values in found.items()}
    late = dict.fromkeys(("adversarial", "discriminator_real", "discriminator_made"), 2)
    assert counts == {"pixel": 4, "perceptual": 4, "temporal": 4, "warp": 4, "loss": 4, **late}
    weights = config.losses
    total = sum(getattr(weights, name) * found[name][0] for name in ("pixel", "perceptual", "temporal", "warp"))
    assert found["loss"][0] == pytest.approx(total, rel=1e-5)
    assert found["loss"][3] > 0.025 * found["adversarial"][1] > 0


def test_what_the_stages_leave_is_loaded_to_restore(
    folder: Path, tmp_path: Path, base: BaseConfig, stage1: Path
) -> None:
    stage2 = sdatc_stage2.train(second(folder, tmp_path, base, stage1))
    assert (stage1.name, stage2.name) == ("sdatc-stage1.safetensors", "sdatc-stage2.safetensors")
    parts = load_sdatc_parts(SdatcFiles(stage1, stage2, base.unet, base.vae, base.text))
    assert set(parts) == {"dcm", "denoiser", "vae", "text", "flow"}
    for path, fresh in ((stage1, "denoiser.control.zero_middle.weight"), (stage2, "vae.stam.0.alpha1")):
        assert load_file(path)[fresh].abs().max() > 0  # zeros before any training
        card = read_metadata(path)
        assert card["steps"] == "4"
        assert json.loads(card["data"]) == ["a.png", "b.jpg"]
        assert str(folder.parent) not in json.dumps(card)


def test_the_gradient_of_the_denoiser_reaches_the_dcm(folder: Path, tmp_path: Path, base: BaseConfig) -> None:
    """End to end through the encoder: without the L1 the DCM learns too."""
    config = first(folder, tmp_path, base, dcm=0.0, steps=3)
    before = load_file(config.start)
    after = load_file(sdatc_stage1.train(config))
    assert before["upsample.0.weight"].abs().max() == 0
    assert after["dcm.upsample.0.weight"].abs().max() > 1e-4


def test_stable_diffusion_stays_as_it_is(folder: Path, tmp_path: Path, base: BaseConfig, stage1: Path) -> None:
    networks: list[Any] = []
    set_up = sdatc_stage2._with_critics

    def watched(*arguments: Any) -> Any:
        networks.append(set_up(*arguments))
        return networks[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sdatc_stage2, "_with_critics", watched)
        sdatc_stage2.train(second(folder, tmp_path, base, stage1))
    own: nn.Module = networks[0].vae.vae
    assert all(torch.equal(value, load_file(base.vae)[key]) for key, value in own.state_dict().items())


@pytest.mark.parametrize("stage", [1, 2])
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
    folder: Path, tmp_path: Path, base: BaseConfig, stage1: Path, stage: int
) -> None:
    train: Train = sdatc_stage1.train if stage == 1 else sdatc_stage2.train

    def configure(output: str) -> RunConfig:
        path = tmp_path / output
        return first(folder, path, base) if stage == 1 else second(folder, path, base, stage1)

    whole, update = load_file(train(configure("whole"))), Run.update

    def killed(run: Run) -> None:
        if run.step == 3:
            raise KeyboardInterrupt
        update(run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "update", killed)
        with pytest.raises(KeyboardInterrupt):
            train(configure("cut"))
    resumed = load_file(train(configure("cut")))
    assert all(torch.equal(resumed[key], value) for key, value in whole.items())


def test_pairs_are_made_once(folder: Path, tmp_path: Path, base: BaseConfig, stage1: Path) -> None:
    config, told = second(folder, tmp_path, base, stage1, steps=1), []
    sdatc_stage2.train(config, told.append)
    assert [str(progress) for progress in told[:2]] == ["sampled clip 1/2", "sampled clip 2/2"]
    paths = sorted((tmp_path / "pairs").iterdir())
    times = [path.stat().st_mtime_ns for path in paths]
    kept = load_file(paths[0])
    assert len(paths) == 2
    shapes = [tuple(kept[name].shape) for name in ("hr", "lr", "latents")]
    assert shapes == [(2, 3, 64, 64), (2, 3, 16, 16), (2, 4, 8, 8)]
    paths[1].unlink()
    sdatc_stage2.train(replace(config, steps=2))
    assert paths[0].stat().st_mtime_ns == times[0]
    assert paths[1].exists()


def test_another_file_to_start_from_is_refused(folder: Path, tmp_path: Path, base: BaseConfig) -> None:
    dcm = base.unet.with_name("dcm.safetensors")
    with pytest.raises(UnknownCheckpointError, match="Expected the file of SDATC's stage 1"):
        sdatc_stage2.train(second(folder, tmp_path, base, dcm))


def test_the_command_runs_all_stages_and_goes_on_with_them(
    folder: Path, tmp_path: Path, base: BaseConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {
        "base": {name: str(getattr(base, name)) for name in ("unet", "vae", "text")},
        "dcm/network": {"preset": "small", "channels": 8, "groups": 1},
        "stage1/sizes": TINY.as_dict(),
        "stage2/losses": {"adversarial": 0.0, "warp": 0.0, "perceptual": 0.0},
        "pairs": {"count": 1, "steps": 2},
        "clips": {"frames": 2, "size": 64, "film": 0},
        "material": {"film_clips": 0},
        "validation": {"every": 0},
        "steps": 1,
        "batch": 1,
        "accumulate": 1,
        "workers": 0,
        "device": "cpu",
    }
    given = [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    command = ["train", "sdatc", "--data", str(folder), "--output", str(tmp_path / "run"), "--set", *given]
    assert cli.main(command) == 0
    said = capsys.readouterr()
    names = ["dcm/weights", "stage1/sdatc-stage1", "stage2/sdatc-stage2"]
    paths = [tmp_path / "run" / f"{name}.safetensors" for name in names]
    assert [line.split(":")[0] for line in said.out.splitlines()] == [str(path) for path in paths]
    assert [line for line in said.err.splitlines() if line.startswith("sdatc-")] == [
        f"sdatc-{stage}: 1 steps" for stage in ("dcm", "stage1", "stage2")
    ]
    times = [path.stat().st_mtime_ns for path in paths]
    assert cli.main([*command, "stage2/steps=2"]) == 0
    assert "sdatc-stage2: 2 steps" in capsys.readouterr().err.splitlines()
    assert [path.stat().st_mtime_ns == time for path, time in zip(paths, times, strict=True)] == [True, True, False]
