"""What keeps a video steady, measured: motion guidance, stitched windows, rescheduled noise.

``python benchmarks/consistency.py --clips FOLDER [--only guidance windows cost] [--frames N] [--steps N] [--unet]
[--picture FILE]``: real clips (``*_hr.mkv`` in the folder) are sampled by a denoiser that invents detail around their
low-resolution pictures, exactly as consistency_model.py says, and steered by the object that the nodes use. ``--unet``
times Stable Diffusion 1.5's network, with random weights, beside the guidance: it needs diffusers and 4 GB.
"""

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from common import machine, table
from consistency_model import Model, Prior, Scene, make_model, make_scene, sample
from consistency_picture import beside, profiles
from torch import Tensor

from textovsr.core.diffusion.config import PUBLISHED_SCALE, GuidanceConfig, GuidanceForm
from textovsr.core.diffusion.steering import GuidanceSteps, MotionSteering
from textovsr.core.motion.clip_motion import ClipMotion
from textovsr.core.overlaps import Curve, overlapping_windows, rescheduled_indices
from textovsr.core.quality.fidelity import psnr_y
from textovsr.core.quality.sharpness import sharpness
from textovsr.core.quality.temporal import warping_error
from textovsr.core.stitch import stitch
from textovsr.core.video.reader import VideoReader

SIDE = 256
"""Of the middle of each frame that is used, in pixels."""

FORMS: tuple[GuidanceForm | None, ...] = (None, "corrected", "reference")
CURVES: tuple[Curve, ...] = ("cut", "code", "paper", "cosine")
NOISES = ("own", "shared", "rescheduled")
KINDS: dict[str, tuple[bool, GuidanceForm | None]] = {
    "video": (True, None),
    "video, guided": (True, "corrected"),
    "frames, guided": (False, "corrected"),
}
LENGTH, OVERLAP = 8, 4
PARTS = ("guidance", "windows", "cost")

_SD = (16, 4, 64, 64)


@dataclass(frozen=True)
class Scores:
    """Means over a clip: the warping error x1000 along the true motion, sharpness, and PSNR-Y to the true clip."""

    warping: float
    sharpness: float
    psnr: float

    def cells(self, base: "Scores") -> list[str]:
        """As a table shows them, beside those without guidance."""
        change = [
            f"{100 * (a / b - 1):+.1f}%" for a, b in ((self.warping, base.warping), (self.sharpness, base.sharpness))
        ]
        return [f"{self.warping:.3f}", change[0], f"{self.sharpness:.2f}", change[1], f"{self.psnr:.2f}"]


def read_clips(folder: Path, frames: int) -> dict[str, Tensor]:
    """The middles of the first frames of the clips in a folder, by name."""
    clips = {}
    for path in sorted(folder.glob("*_hr.mkv")):
        with VideoReader(path) as reader:
            clip = torch.stack([frame.image for _, frame in zip(range(frames), reader, strict=False)])
        top, left = (max(size - SIDE, 0) // 2 for size in clip.shape[-2:])
        clips[path.stem.removesuffix("_hr")] = clip[..., top : top + SIDE, left : left + SIDE].contiguous()
    if not clips:
        raise SystemExit(f"Expected clips named *_hr.mkv in {folder}, got none; see tests/data/README.md.")
    return clips


def steering(motion: ClipMotion, form: GuidanceForm | None) -> MotionSteering | None:
    """As the nodes guide with their defaults; the published step as strong as it is on 64x64x4, of 512x512 pixels.

    What is published divides by the number of elements, so that it fades the larger the latents are.
    """
    if form is None:
        return None
    elements = 3 * motion.size[0] * motion.size[1] / math.prod(_SD[1:])
    config = GuidanceConfig(form, PUBLISHED_SCALE * elements) if form == "reference" else GuidanceConfig()
    return MotionSteering(motion, config, GuidanceSteps())


def score(clip: Tensor, scene: Scene) -> Scores:
    """Measure a clip (T,3,H,W) of a scene."""
    sharp = sum(sharpness(frame) for frame in clip) / len(clip)
    return Scores(1000 * warping_error(clip, scene.truth), sharp, psnr_y(clip, scene.true))


def guide(scene: Scene, model: Model, steps: int, ancestral: bool) -> dict[GuidanceForm | None, Tensor]:
    """Every frame for itself, from the same noise, without guidance and with both forms: frames (T,3,H,W)."""
    results = {}
    for form in FORMS:
        chance = torch.Generator().manual_seed(0)
        noise = torch.randn(model.low.shape, generator=chance)
        own = chance if ancestral else None
        latents = sample(model.alone(range(len(noise))), noise, steps, own, steering(scene.motion, form))
        results[form] = model.codec.decode(latents)
    return results


def guidance_rows(name: str, scene: Scene, steps: int, priors: Sequence[Prior]) -> list[list[str]]:
    """A clip with every prior, sampler and form."""
    rows = []
    for prior in priors:
        model = make_model(scene, prior)
        for sampler in ("DDPM", "Euler"):
            found = {form: score(clip, scene) for form, clip in guide(scene, model, steps, sampler == "DDPM").items()}
            rows += [[name, prior, sampler, form or "none", *s.cells(found[None])] for form, s in found.items()]
            print(*(" ".join(row) for row in rows[-len(FORMS) :]), sep="\n", flush=True)
    return rows


@dataclass(frozen=True)
class Windows:
    """How windows are sampled: by a denoiser, from noise of their own, or all from one, or from eight frames of it."""

    video: bool
    form: GuidanceForm | None
    noise: str

    def sample(self, scene: Scene, model: Model, places: Sequence[range], steps: int) -> list[Tensor]:
        """Every window, (8,3,H,W) latents; Euler's method, so that noise is drawn at the start only."""
        noises = self._noises(model.low.shape, places)
        denoisers = [model.video(place) if self.video else model.alone(place) for place in places]
        motions = [scene.motion.frames(place.start, place.stop) for place in places]
        return [
            sample(denoise, noise, steps, None, steering(motion, self.form))
            for denoise, noise, motion in zip(denoisers, noises, motions, strict=True)
        ]

    def _noises(self, shape: torch.Size, places: Sequence[range]) -> list[Tensor]:
        chance = torch.Generator().manual_seed(0)
        if self.noise == "own":
            return [torch.randn(len(place), *shape[1:], generator=chance) for place in places]
        whole = torch.randn(shape, generator=chance)
        if self.noise == "rescheduled":
            overlap = places[0].stop - places[1].start
            whole = whole[list(rescheduled_indices(shape[0], len(places[0]), overlap, 0))]
        return [whole[place.start : place.stop] for place in places]


def errors(clip: Tensor, scene: Scene, start: int = 0) -> list[float]:
    """The warping error x1000 of every transition of a part of the scene that begins at a frame."""
    motions = scene.truth[start : start + len(clip) - 1]
    return [1000 * warping_error(clip[i : i + 2], [motion]) for i, motion in enumerate(motions)]


def jump(windows: Sequence[Tensor], places: Sequence[range], curve: Curve, scene: Scene) -> tuple[float, float]:
    """How much worse the worst transition around an overlap is than the same one in the windows before they are joined.

    Args:
        windows: decoded; they are joined here, as decoding is linear but for its clamp.
        places: where they lie.
        curve: how they are joined; ``cut`` is the hard join.
        scene: measures.

    Returns:
        The greatest excess of the warping error, x1000, over the mean of the windows that hold that transition, from
        the one into the overlap to the one out of it, as a mean over the borders; and the mean sharpness of the result.
    """
    joined = torch.stack(list(stitch(windows, places, curve)))
    within: list[list[float]] = [[] for _ in scene.truth]
    for window, place in zip(windows, places, strict=True):
        for index, error in enumerate(errors(window, scene, place.start), place.start):
            within[index].append(error)
    excess = [e - sum(own) / len(own) for e, own in zip(errors(joined, scene), within, strict=True)]
    worst = [max(excess[after.start - 1 : before.stop]) for before, after in pairwise(places)]
    return sum(worst) / len(worst), sum(sharpness(frame) for frame in joined) / len(joined)


def windows_rows(name: str, scene: Scene, steps: int, length: int, overlap: int) -> list[list[str]]:
    """A clip in windows, with every denoiser, noise and curve."""
    places = overlapping_windows(len(scene.true), length, overlap)
    model, rows = make_model(scene, "two-point"), []
    for kind, (video, form) in KINDS.items():
        hard = 0.0
        for noise in NOISES:
            latents = Windows(video, form, noise).sample(scene, model, places, steps)
            windows = [model.codec.decode(window) for window in latents]
            found = {curve: jump(windows, places, curve, scene) for curve in CURVES}
            hard = hard or found["cut"][0]
            jumps = [f"{step:.3f} ({100 * (step / hard - 1):+.0f}%)" for step, _ in found.values()]
            rows.append([name, kind, noise, *jumps, f"{found['cut'][1]:.1f}", f"{found['code'][1]:.1f}"])
            print(*rows[-1], flush=True)
    return rows


def clock(work: Callable[[], object], times: int) -> float:
    """Milliseconds that something takes, the least of several times."""
    work()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(1000 * (time.perf_counter() - start))
    return min(found)


@torch.inference_mode()
def cost_rows(unet: bool, shape: tuple[int, int, int, int] = _SD) -> list[list[str]]:
    """What a guided step costs for 16 frames of 512x512 in Stable Diffusion, beside the network's own time."""
    frames, _, height, width = shape
    chance = torch.Generator().manual_seed(0)
    flow = torch.randn(frames - 1, 2, height, width, generator=chance)
    motion = ClipMotion(flow, -flow, flow[:, :1] * 0, flow[:, :1] * 0)
    latents = torch.randn(shape, generator=chance)
    network = unet_clock(height, width) if unet else None
    rows = []
    for form in ("corrected", "reference"):
        steer = steering(motion, form)  # type: ignore[arg-type]
        assert steer is not None
        taken = clock(lambda s=steer: s.stepped(s.denoised(latents, 0, 1.0), 0, (1.0, 0.9)), 5)  # type: ignore[misc]
        share = [] if network is None else [f"{network * frames:.0f}", f"{100 * taken / (network * frames):.3f}%"]
        rows.append([form, f"{taken:.1f}", *share])
    return rows


def unet_clock(height: int, width: int) -> float:
    """Milliseconds of Stable Diffusion 1.5's network for one frame's latents, without classifier-free guidance."""
    from diffusers import UNet2DConditionModel

    network = UNet2DConditionModel(sample_size=64, cross_attention_dim=768).eval()  # its defaults are SD 1.5's else
    latents, text = torch.randn(1, 4, height, width), torch.randn(1, 77, 768)
    return clock(lambda: network(latents, 500, text), 2)


def main() -> None:
    """Measure and print."""
    options = _parse()
    print(f"{machine()}; the middle {SIDE}x{SIDE} of {options.frames} frames, {options.steps} steps\n", flush=True)
    if {"guidance", "windows"} & set(options.only) or options.picture:
        scenes = {name: make_scene(clip) for name, clip in read_clips(options.clips, options.frames).items()}
    if "guidance" in options.only:
        rows = [
            r for name, s in scenes.items() for r in guidance_rows(name, s, options.steps, ("two-point", "gaussian"))
        ]
        print()
        table(("clip", "prior", "sampler", "guidance", "warping error", "", "sharpness", "", "PSNR-Y"), rows)
    if "windows" in options.only:
        rows = [r for name, s in scenes.items() for r in windows_rows(name, s, options.steps, LENGTH, OVERLAP)]
        print()
        table(("clip", "denoiser", "noise", *CURVES, "sharpness, cut", "code"), rows)
    if "cost" in options.only:
        table(
            ("form", "guidance, ms a step", "network, ms a step", "share")[: 4 if options.unet else 2],
            cost_rows(options.unet),
        )
    if options.picture:
        save_picture(scenes, options.steps, options.picture)


def save_picture(scenes: dict[str, Scene], steps: int, path: Path) -> None:
    """Profiles of the frames without guidance, with it, and of the true ones; the clips beside each other."""
    sheets = []
    for scene in scenes.values():
        found = guide(scene, make_model(scene, "two-point"), steps, ancestral=True)
        sheets.append(profiles({"not guided": found[None], "guided": found["corrected"], "true": scene.true}))
    beside(sheets).save(path, quality=80)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, metavar="FOLDER", help="holds *_hr.mkv")
    parser.add_argument("--only", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--unet", action="store_true", help="time Stable Diffusion 1.5's network, too")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write temporal profiles")
    return parser.parse_args()


if __name__ == "__main__":
    main()
