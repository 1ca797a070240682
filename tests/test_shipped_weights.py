"""The weights that ship: whole, described, better than bicubic, and without a visible window border."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textovsr.core.config import RecurrentConfig
from textovsr.core.degrade.chain import apply_chain, sample_clean
from textovsr.core.degrade.operations import VideoCompression
from textovsr.core.pipeline import Job, restore_frames
from textovsr.core.quality.fidelity import psnr_y, ssim_y
from textovsr.core.quality.temporal import warping_errors
from textovsr.core.restorers.dcm import DcmRestorer
from textovsr.core.restorers.loading import load_restorer
from textovsr.core.restorers.text_ovsr import TextOVSRRestorer
from textovsr.core.video.reader import VideoReader
from textovsr.models.catalog import DEGRADATION, FOLDER, MEASURES, SHIPPED, detail_end, find_weights
from textovsr.models.dial import load_dialled
from textovsr.models.registry import read_metadata
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


def load(name: str, fidelity: float = 1.0) -> TextOVSR:
    """A shipped network at a place on its dial."""
    network = load_dialled(find_weights(name, []), fidelity)
    assert isinstance(network, TextOVSR)
    return network


@pytest.fixture(scope="module")
def lite() -> TextOVSR:
    """The shipped network."""
    return load("textovsr-lite")


def restore(network: TextOVSR, clip: Tensor, config: RecurrentConfig) -> Tensor:
    """Stream a clip through the network."""
    restorer = TextOVSRRestorer(network, config, torch.device("cpu"), memory=2 << 30)
    return torch.stack(list(restore_frames([(frame, 0.0) for frame in clip], restorer, Job())))


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda shipped: shipped.name)
def test_a_shipped_file_is_whole_small_and_described(shipped: object) -> None:
    path = find_weights(shipped.name, [])  # type: ignore[attr-defined]  # checks the SHA-256 of both ends
    for end in (path, detail_end(path)) if shipped.detail_sha256 else (path,):  # type: ignore[attr-defined]
        card = read_metadata(end)
        assert {"name", "licence", "data", "recipe", "hours", "metrics", "hardware"} <= set(card)
        assert json.loads(card["metrics"])


def test_all_that_ships_is_under_40_mb() -> None:
    assert sum(path.stat().st_size for path in FOLDER.glob("*.safetensors")) < 40e6


def test_nothing_ships_that_the_catalogue_does_not_name() -> None:
    named = {shipped.file for shipped in (*SHIPPED, *MEASURES, DEGRADATION)}
    named |= {detail_end(Path(shipped.file)).name for shipped in SHIPPED if shipped.detail_sha256}
    assert {path.name for path in FOLDER.glob("*.safetensors")} == named


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("name", "frames"), [("textovsr-lite", 16), ("textovsr-base", 5)])
def test_the_fidelity_end_is_better_than_bicubic(name: str, frames: int, case: str) -> None:
    """By PSNR-Y and by SSIM, on clips it was never trained on, without any text."""
    lr, hr = read(case, frames), reference(case, frames)
    bicubic = F.interpolate(lr, scale_factor=4, mode="bicubic").clamp(0, 1)
    ours = restore(load(name), lr, RecurrentConfig())
    assert psnr_y(ours, hr) > psnr_y(bicubic, hr)
    assert ssim_y(ours, hr) > ssim_y(bicubic, hr)


@pytest.fixture(scope="module")
def dcm() -> DcmRestorer:
    """The shipped module, as a name finds it."""
    restorer = load_restorer(find_weights("sdatc-dcm", []), RecurrentConfig(), torch.device("cpu"), 2 << 30)
    assert isinstance(restorer, DcmRestorer)
    return restorer


def frame_by_frame(restorer: DcmRestorer, clip: Tensor) -> Tensor:
    return torch.stack(list(restore_frames([(frame, 0.0) for frame in clip], restorer, Job())))


@pytest.mark.parametrize("case", CASES)
def test_the_module_that_takes_back_compression_is_better_than_bicubic(dcm: DcmRestorer, case: str) -> None:
    lr, hr = read(case, 3), reference(case, 3)
    bicubic = F.interpolate(lr, scale_factor=4, mode="bicubic").clamp(0, 1)
    ours = frame_by_frame(dcm, lr)
    assert psnr_y(ours, hr) > psnr_y(bicubic, hr)
    assert ssim_y(ours, hr) > ssim_y(bicubic, hr)


@pytest.mark.parametrize("crf", [15, 25, 35])
@pytest.mark.parametrize("clip", ["vtest", "bikes"])
def test_it_is_better_than_bicubic_at_the_paper_s_qualities(dcm: DcmRestorer, clip: str, crf: int) -> None:
    """The truth, shrunk and through x264: by SSIM at all, by PSNR-Y up to CRF 25; at 35 the two are about equal."""
    hr = read(f"{clip}_hr", 3)
    lr = apply_chain(
        hr, [*sample_clean((hr.shape[-2], hr.shape[-1])), VideoCompression("libx264", crf=crf)], torch.Generator()
    )
    bicubic = F.interpolate(lr, scale_factor=4, mode="bicubic").clamp(0, 1)
    ours = frame_by_frame(dcm, lr)
    assert ssim_y(ours, hr) > ssim_y(bicubic, hr)
    assert psnr_y(ours, hr) > psnr_y(bicubic, hr) - (0.1 if crf == 35 else 0.0)


def test_nobody_can_see_its_tiles(dcm: DcmRestorer) -> None:
    """Tiles of 32 pixels: far from half a level of 255."""
    lr = read("vtest_lr_degraded", 1)
    tiled = DcmRestorer(dcm.network, RecurrentConfig(tile=32), torch.device("cpu"), 2 << 30)
    assert (frame_by_frame(tiled, lr) - frame_by_frame(dcm, lr)).abs().max() < 0.1 / 255


@pytest.mark.parametrize("clip", ["vtest", "bikes"])
@pytest.mark.parametrize("name", ["textovsr-lite", "textovsr-base"])
def test_the_detail_end_is_crisper_in_the_same_colours(name: str, clip: str) -> None:
    """Steeper edges than the fidelity end's, yet no steeper than the truth's; what is under them stays as it is."""
    lr, hr = read(f"{clip}_lr_degraded", 3), read(f"{clip}_hr", 3)
    faithful, detailed = (restore(load(name, fidelity), lr, RecurrentConfig()) for fidelity in (1.0, 0.0))
    steepness = [float((x[..., 1:] - x[..., :-1]).abs().mean()) for x in (faithful, detailed, hr)]
    assert 1.05 * steepness[0] < steepness[1] < steepness[2]
    broad = [F.avg_pool2d(x, 32) for x in (faithful, detailed)]
    assert float((broad[0] - broad[1]).abs().mean()) < 2 / 255


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
