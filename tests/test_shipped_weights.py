"""The weights that ship: whole, described, better than bicubic, and without a visible window border."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textovsr.core.config import RecurrentConfig
from textovsr.core.pipeline import Job, restore_frames
from textovsr.core.quality.fidelity import psnr_y, ssim_y
from textovsr.core.quality.temporal import warping_errors
from textovsr.core.restorers.text_ovsr import TextOVSRRestorer
from textovsr.core.video.reader import VideoReader
from textovsr.models.catalog import DEGRADATION, FOLDER, MEASURES, SHIPPED, detail_end, find_weights
from textovsr.models.registry import load_network, read_metadata
from textovsr.models.text_ovsr import TextOVSR

VALIDATE = Path(__file__).parent / "data" / "validate"
CASES = [f"{clip}_lr_{kind}" for clip in ("vtest", "bikes") for kind in ("bicubic", "degraded")]
WINDOW = 6


def read(name: str, frames: int) -> Tensor:
    """The first frames of a validation clip, (T,3,H,W)."""
    with VideoReader(VALIDATE / f"{name}.mkv") as reader:
        return torch.stack([frame.image for _, frame in zip(range(frames), reader, strict=False)])


def reference(case: str, frames: int) -> Tensor:
    """The high-resolution frames behind a low-resolution clip."""
    return read(f"{case.split('_')[0]}_hr", frames)


@pytest.fixture(scope="module")
def lite() -> TextOVSR:
    """The shipped network."""
    network = load_network(find_weights("textovsr-lite", []))
    assert isinstance(network, TextOVSR)
    return network


def restore(network: TextOVSR, clip: Tensor, config: RecurrentConfig) -> Tensor:
    """Stream a clip through the network."""
    restorer = TextOVSRRestorer(network, config, torch.device("cpu"), memory=2 << 30)
    return torch.stack(list(restore_frames([(frame, 0.0) for frame in clip], restorer, Job())))


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda shipped: shipped.name)
def test_a_shipped_file_is_whole_small_and_described(shipped: object) -> None:
    path = find_weights(shipped.name, [])  # type: ignore[attr-defined]  # checks the SHA-256
    assert path.stat().st_size < 40e6
    card = read_metadata(path)
    assert {"name", "licence", "data", "recipe", "metrics", "hardware"} <= set(card)
    assert json.loads(card["metrics"])


def test_nothing_ships_that_the_catalogue_does_not_name() -> None:
    named = {shipped.file for shipped in (*SHIPPED, *MEASURES, DEGRADATION)}
    named |= {detail_end(Path(shipped.file)).name for shipped in SHIPPED if shipped.detail_sha256}
    assert {path.name for path in FOLDER.glob("*.safetensors")} == named


@pytest.mark.parametrize("case", CASES)
def test_lite_is_better_than_bicubic(case: str, lite: TextOVSR) -> None:
    """By PSNR-Y and by SSIM, on clips it was never trained on, without any text."""
    frames = 16
    lr, hr = read(case, frames), reference(case, frames)
    bicubic = F.interpolate(lr, scale_factor=4, mode="bicubic").clamp(0, 1)
    ours = restore(lite, lr, RecurrentConfig())
    assert psnr_y(ours, hr) > psnr_y(bicubic, hr)
    assert ssim_y(ours, hr) > ssim_y(bicubic, hr)


@pytest.mark.parametrize("case", CASES)
def test_nobody_can_measure_a_window_border(case: str, lite: TextOVSR) -> None:
    """Windows of 6 with the default look-ahead against the whole clip: within 0.05 dB, and borders as steady."""
    frames = 24
    lr, hr = read(case, frames), reference(case, frames)
    whole = restore(lite, lr, RecurrentConfig(window=frames))
    streamed = restore(lite, lr, RecurrentConfig(window=WINDOW))
    assert abs(psnr_y(streamed, hr) - psnr_y(whole, hr)) < 0.05
    flow_net = lite.basicvsr.spynet
    with torch.inference_mode():
        errors, expected = (warping_errors(clip, hr, flow_net) for clip in (streamed, whole))
    at = [i for i in range(frames - 1) if (i + 1) % WINDOW == 0]
    inside = [i for i in range(frames - 1) if (i + 1) % WINDOW]
    border = sum(errors[i] for i in at) / sum(expected[i] for i in at)
    assert border < 1.05 * sum(errors[i] for i in inside) / sum(expected[i] for i in inside)
