"""What a result is measured by: PSNR-Y, SSIM, NIQE, VMAF, VMAF-NEG and the warping error."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from quality_packages import FFMPEG, NATURAL, obtain
from quality_peers import load_basicvsr
from torch import Tensor

from textovsr.core.quality.fidelity import psnr_y, ssim_y
from textovsr.core.quality.niqe import niqe, read_natural_statistics
from textovsr.core.quality.temporal import Motion, find_motion, warping_error

MODELS = ("vmaf_v0.6.1", "vmaf_v0.6.1neg")


@dataclass(frozen=True)
class Scores:
    """Means over the frames of a clip, or over clips; ``warping`` is x1000, ``seconds`` are a frame's."""

    psnr: float
    ssim: float
    niqe: float
    vmaf: float
    vmaf_neg: float
    warping: float
    seconds: float
    frames: float

    def cells(self) -> list[str]:
        """As a table shows them."""
        shown = [f"{self.psnr:.2f}", f"{self.ssim:.3f}", f"{self.niqe:.1f}", f"{self.vmaf:.1f}", f"{self.vmaf_neg:.1f}"]
        return [*shown, f"{self.warping:.3f}", f"{self.seconds:.2f}", f"{self.frames:g}"]


HEADER = ("PSNR-Y", "SSIM", "NIQE", "VMAF", "VMAF-NEG", "warping error", "s a frame", "frames")


def mean(scores: Sequence[Scores]) -> Scores:
    """Each measure's mean."""
    names = [field.name for field in fields(Scores)]
    return Scores(**{name: sum(getattr(score, name) for score in scores) / len(scores) for name in names})


class Judge:
    """Measures results; the flow is always that of BasicVSR's SPyNet in the original, whatever is measured."""

    def __init__(self, cache: Path) -> None:
        self._natural = read_natural_statistics(obtain(NATURAL, cache))
        self._ffmpeg = obtain(FFMPEG, cache)
        self._flow_net = load_basicvsr(cache).spynet

    def motions(self, hr: Tensor) -> list[Motion]:
        """How the original (T,3,H,W) moves, once for all results."""
        return find_motion(hr, self._flow_net)

    def score(self, clip: Tensor, hr: Tensor, motions: Sequence[Motion], seconds: float) -> Scores:
        """Measure a result (T,3,H,W) as a video of 8 bits shows it; ``hr`` and ``motions`` may be longer."""
        count = len(clip)
        clip, hr = quantize(clip), quantize(hr[:count])
        vmaf, neg = measure_vmaf(clip, hr, self._ffmpeg)
        return Scores(
            psnr=psnr_y(clip, hr),
            ssim=ssim_y(clip, hr),
            niqe=sum(niqe(frame, self._natural) for frame in clip) / count,
            vmaf=vmaf,
            vmaf_neg=neg,
            warping=1000 * warping_error(clip, motions[: count - 1]),
            seconds=seconds,
            frames=count,
        )


def quantize(clip: Tensor) -> Tensor:
    """To the nearest of 256 levels."""
    return clip.clamp(0, 1).mul(255).round() / 255


def measure_vmaf(clip: Tensor, reference: Tensor, ffmpeg: Path) -> tuple[float, float]:
    """VMAF v0.6.1 and its NEG variant, the mean over the frames, both clips (T,3,H,W) as 4:2:0.

    Raises:
        CalledProcessError: this ffmpeg has no libvmaf.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs: list[str] = []
        for file, frames in (("result.rgb", clip), ("reference.rgb", reference)):
            # (T,C,H,W) -> (T,H,W,C)
            pixels = frames.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
            (folder / file).write_bytes(pixels.numpy().tobytes())
            size = f"{frames.shape[3]}x{frames.shape[2]}"
            inputs += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", "25", "-i", file]
        models = "|".join(f"version={model}\\:name={model}" for model in MODELS)
        graph = (
            "[0:v]format=yuv420p[a];[1:v]format=yuv420p[b];"
            f"[a][b]libvmaf=model='{models}':log_fmt=json:log_path=vmaf.json"
        )
        command = [str(ffmpeg), "-hide_banner", "-loglevel", "error", *inputs, "-lavfi", graph, "-f", "null", "-"]
        subprocess.run(command, check=True, cwd=folder)
        pooled = json.loads((folder / "vmaf.json").read_text("utf-8"))["pooled_metrics"]
    return pooled[MODELS[0]]["mean"], pooled[MODELS[1]]["mean"]
