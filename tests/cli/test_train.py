"""``textovsr train`` as a person meets it: from settings to weights, killed and gone on with, mistakes named."""

import json
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from textovsr import cli
from textovsr.tests.helpers.cli import Run, interruptible, make_video
from textovsr.tests.helpers.threads import one_thread as one_thread
from textovsr.training.noise_bank import load_bank

SETTINGS = {
    "output": "run",
    "network": {
        "preset": "lite",
        "negative": True,
        "channels": 8,
        "blocks": 1,
        "cleaning_blocks": 1,
        "text_hidden": 8,
        "text": {"width": 8, "layers": 1, "hidden": 8},
    },
    "clips": {"frames": 2, "size": 64, "film": 0, "clean": 0.3, "light": 0.7},
    "material": {"film_clips": 0},
    "validation": {"every": 4, "data": "pictures", "clips": 1},
    "steps": 8,
    "batch": 1,
    "save_every": 1,
    "workers": 1,
    "device": "cpu",
}


@pytest.fixture
def run(run: Run, tmp_path: Path) -> Run:
    """Runs ``textovsr train`` in a folder with pictures and settings."""
    (tmp_path / "pictures").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((180, 120), Image.Resampling.BICUBIC).save(tmp_path / "pictures" / "a.png")
    (tmp_path / "settings.json").write_text(json.dumps({"data": "pictures", **SETTINGS}))
    return partial(run, "train")


def state(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(folder / "state.pt", weights_only=True)
    return found


def test_settings_become_weights(run: Run, tmp_path: Path) -> None:
    done = run("--config", "settings.json", "--set", "steps=2", "workers=0", "--output", "other")
    assert done.returncode == 0
    assert done.stdout == f"{Path('other/weights.safetensors')}: use it with `textovsr upscale --weights " + (
        f"{Path('other/weights.safetensors')}`\n"
    )
    assert done.stderr.splitlines()[-1].startswith("step 2/2, loss 0.")
    made = {path.name for path in (tmp_path / "other").iterdir()}
    assert {"weights.safetensors", "state.pt", "validation.csv", "pictures"} <= made
    again = run("--config", "settings.json", "--set", "steps=2", "workers=0", "output=other", "--json")
    assert json.loads(again.stdout) == {"weights": "other/weights.safetensors", "steps": 2, "output": "other"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL, and no SIGINT to send to one process")
def test_a_stopped_run_goes_on_to_the_same_weights(run: Run, tmp_path: Path) -> None:
    """Ctrl-C, then SIGKILL: bit for bit the weights, averages and moments of a run that was left alone."""
    words = stop_after_a_save(tmp_path, signal.SIGINT)
    assert words.endswith("textovsr: stopped; the last checkpoint is kept, the same command goes on after it.\n")
    stop_after_a_save(tmp_path, signal.SIGKILL)
    assert run("--config", "settings.json", "--quiet").returncode == 0
    assert run("--config", "settings.json", "--quiet", "--output", "whole").returncode == 0
    resumed, whole = state(tmp_path / "run"), state(tmp_path / "whole")
    assert resumed["step"] == whole["step"] == 8
    for part in ("net", "average"):
        assert all(torch.equal(resumed[part][key], value) for key, value in whole[part].items())
    for number, moments in whole["optimizer"]["state"].items():
        assert all(torch.equal(resumed["optimizer"]["state"][number][key], value) for key, value in moments.items())
    assert resumed["recent"] == whole["recent"]
    weights = [load_file(tmp_path / name / "weights.safetensors") for name in ("run", "whole")]
    assert all(torch.equal(weights[0][key], value) for key, value in weights[1].items())
    tables = [(tmp_path / name / "validation.csv").read_text() for name in ("run", "whole")]
    assert tables[0] == tables[1]


def stop_after_a_save(folder: Path, how: signal.Signals) -> str:
    """Run until a further state is there, and stop it before there is another one; returns what it said."""
    path = folder / "run" / "state.pt"
    before = path.stat().st_mtime_ns if path.exists() else 0
    with interruptible("train", "--config", "settings.json", "--quiet", hold=("update", 2), cwd=folder) as process:
        while process.poll() is None and not (path.exists() and path.stat().st_mtime_ns != before):
            time.sleep(0.01)
        process.send_signal(how)
        _, words = process.communicate()
    assert process.returncode == (cli.INTERRUPTED if how == signal.SIGINT else -how)
    assert 1 <= state(folder / "run")["step"] <= 2, "the update that it was at is lost"
    return words


def test_noise_is_collected(run: Run, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    make_video(tmp_path / "films" / "busy.mp4", (64, 64), frames=30)
    done = run("noise-bank", "films", "bank.safetensors")
    assert done.returncode == 1
    assert "none that stays flat" in done.stderr
    wall = np.full((64, 64, 3), 120, np.uint8)
    write_still(tmp_path / "films" / "wall.mp4", wall)
    done = run("noise-bank", "films", "bank.safetensors", "--sequences", 2)
    assert done.stdout == "bank.safetensors: 1 sequences of noise\n"
    assert "wall.mp4: 1 sequences of noise" in done.stderr
    assert len(load_bank(tmp_path / "bank.safetensors")) == 1


def write_still(path: Path, image: np.ndarray) -> None:
    import av

    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = image.shape[1], image.shape[0], "yuv420p"
        for _ in range(30):
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode(None))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--config FILE, sdatc or noise-bank"]),
        (["--config", "none.toml"], ["'none.toml'", "finetune-lite"]),
        (["--config", "settings.json", "--set", "stepps=3"], ["settings.json", "'stepps'"]),
        (["--config", "settings.json", "--set", "steps"], ["key=value"]),
        (["--config", "settings.json", "--data", "nowhere"], ["nowhere"]),
        (["--config", "settings.json", "--set", "start=nothing"], ["'nothing'", "textovsr-lite"]),
        (["--config", "settings.json", "--set", "noise_bank=nothing"], ["noise bank at nothing"]),
        (["--config", "settings.json", "--set", "device=abacus"], ["'abacus'"]),
        (["noise-bank", "pictures"], ["noise-bank FOLDER OUT"]),
        (["sdatc", "--set", "base.unet=none.safetensors"], ["Stable Diffusion 2.1 base at none", "sdatc-dcm"]),
        (["sdatc", "--set", "stage1/stepps=3"], ["sdatc-stage1.toml", "'stepps'"]),
        (["sdatc", "--set", "stepps=3"], ["sdatc-dcm.toml", "'stepps'"]),
        (["sdatc", "--config", "sdatc-dcm"], ["got both"]),
        (["noise", "pictures", "out.safetensors"], ["noise-bank FOLDER OUT"]),
        (["noise-bank", "pictures", "out.mp4"], ["out.mp4", ".safetensors"]),
        (["noise-bank", "pictures", "out.safetensors"], ["Expected videos in pictures"]),
        (["noise-bank", "pictures", "out.safetensors", "--sequences", "0"], ["at least 1"]),
    ],
)
def test_a_mistake_is_explained(run: Run, arguments: list[str], words: list[str]) -> None:
    done = run(*arguments, "--json")
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert [word for word in words if word not in error] == []
    assert "Traceback" not in done.stderr
