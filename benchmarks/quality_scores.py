"""What a result is measured by: PSNR-Y, SSIM, NIQE, VMAF, VMAF-NEG and the warping error."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from quality_packages import FFMPEG, obtain
from quality_peers import load_basicvsr
from torch import Tensor

from textovsr.core.quality.fidelity import psnr_y, ssim_y
from textovsr.core.quality.niqe import load_natural_statistics, niqe
from textovsr.core.quality.temporal import Motion, find_motion, warping_error
from textovsr.core.quality.vmaf import measure_vmaf


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
        self._natural = load_natural_statistics()
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
