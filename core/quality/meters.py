"""Measuring one frame: from a moment of the video to the values of the measures that were chosen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import CLIP_LEAST_SIDE
from ..errors import InputError, MissingDependencyError, WeightsNotFoundError
from .blockiness import blockiness
from .brisque import LEAST_SIDE as BRISQUE_SIDE
from .brisque import brisque, load_ratings
from .clip_iqa import ClipIqa
from .clip_scores import score_batch
from .fidelity import psnr_y, ssim_y
from .flow import find_flow
from .measures import Measure
from .niqe import BLOCK, load_natural_statistics, niqe
from .pyiqa_measures import Judge, load_judge
from .sharpness import sharpness
from .temporal import find_motion_small, flicker, warping_error
from .vmaf import LEAST_SIDE as VMAF_SIDE
from .vmaf import MODELS, find_ffmpeg

BEST_PSNR = 100.0
"""What equal frames get: a mean has to stay finite."""

FLOW_SIDE = 384
"""Pixels; larger pictures are shrunk to find their flow."""

_LEAST_VISIBLE = 0.05
"""Share of the picture: where less of it can be followed from one frame to the next, its warping error says nothing."""

_LEAST_RELATIVE = 1e-3
"""Of the warping error x1000: what a reference's own counts as at least, so that a still one does not divide by 0."""

_LEAST_SIDES = {
    "ssim": 11,
    "vmaf": VMAF_SIDE,
    "vmaf_neg": VMAF_SIDE,
    "brisque": BRISQUE_SIDE,
    "blockiness": 32,
    "clip_iqa": CLIP_LEAST_SIDE,
}
_FLICKER_SIDE = 9

Size = tuple[int, int]
"""Width and height in pixels."""

LoadClip = Callable[[Size], ClipIqa]
"""Gives CLIP-IQA, ready where it runs, for frames of a size; raises WeightsError or MissingDependencyError."""


@dataclass(frozen=True)
class Pictures:
    """A frame of a video and of its reference.

    Attributes:
        image: (3,H,W) RGB in [0,1].
        reference: (3,H',W'), or None.
    """

    image: Tensor
    reference: Tensor | None

    @cached_property
    def fitted(self) -> Tensor:
        """``image`` in the size of the reference: bicubic, antialiased."""
        if self.reference is None or self.reference.shape == self.image.shape:
            return self.image
        size = self.reference.shape[-2:]
        return F.interpolate(self.image[None], size=size, mode="bicubic", antialias=True)[0].clamp(0, 1)


@dataclass(frozen=True)
class Moment:
    """What is measured at one time: the pictures, and up to two of the same shot before them, the newest last."""

    now: Pictures
    before: tuple[Pictures, ...] = ()


Meter = Callable[[Moment], Mapping[str, float]]
"""Measures a moment; what cannot be measured in it, as motion in the first frame of a shot, is left out."""


@dataclass(frozen=True)
class Meters:
    """What is measured.

    Attributes:
        measures: in the order of the catalogue.
        meters: all but VMAF.
        vmaf: names of ``vmaf.MODELS`` that are measured beside them.
        notes: sentences on what was left out, and why.
    """

    measures: tuple[Measure, ...]
    meters: tuple[Meter, ...]
    vmaf: tuple[str, ...]
    notes: tuple[str, ...]

    def measure(self, moment: Moment) -> dict[str, float]:
        """All of it but VMAF, by the measures' names."""
        values: dict[str, float] = {}
        for meter in self.meters:
            values.update(meter(moment))
        return values


def make_meters(
    wanted: Sequence[Measure], sizes: Sequence[Size], clip: LoadClip, device: torch.device, asked: bool
) -> Meters:
    """Load what the measures need.

    Args:
        wanted: from ``choose_measures``.
        sizes: of the video, and of its reference if there is one.
        clip: called if CLIP-IQA is to be measured.
        device: where flow and the networks of other packages run.
        asked: the user named them: one that cannot be measured is an error, not left out with a note.

    Raises:
        InputError: the frames are too small for a measure.
        MissingDependencyError, WeightsError: from what was asked for.
    """
    factory = _Factory(clip, sizes[0], device)
    measures, meters, notes = [], {}, []
    for measure in wanted:
        try:
            _check_size(measure, sizes[-1] if measure.reference else sizes[0])
            key, meter = factory.make(measure)
        except (InputError, MissingDependencyError) as error:
            if asked:
                raise
            notes.append(f"{measure.title} was not measured: {_reason(measure, error)}")
            continue
        measures.append(measure)
        if meter is not None:
            meters[key] = meter
    vmaf = tuple(measure.name for measure in measures if measure.name in MODELS)
    if not measures:
        raise InputError(f"Expected something to measure, got nothing that can be; {' '.join(notes)}")
    return Meters(tuple(measures), tuple(meters.values()), vmaf, tuple(notes))


def _reason(measure: Measure, error: Exception) -> str:
    """Why it was left out. A page is passed on, so it does not list the folders of the machine it was made on."""
    if isinstance(error, WeightsNotFoundError):
        return f"its weights are not on this machine; ask for {measure.name} by its name to read how to get them."
    return str(error)


def _check_size(measure: Measure, size: Size) -> None:
    width, height = size
    if measure.name == "niqe" and (height // BLOCK) * (width // BLOCK) < 2:
        raise InputError(f"Expected two blocks of {BLOCK} pixels, got {width}x{height}.")
    least = _LEAST_SIDES.get(measure.name, _FLICKER_SIDE)
    if min(size) < least:
        raise InputError(f"Expected sides of {least} pixels or more, got {width}x{height}.")


class _Factory:
    """Makes meters; measures that share their work share a meter."""

    def __init__(self, clip: LoadClip, size: Size, device: torch.device) -> None:
        self._clip, self._size, self._device = clip, size, device

    def make(self, measure: Measure) -> tuple[str, Meter | None]:
        """A key and the meter; none for VMAF, which sees whole videos."""
        name = measure.name
        if measure.package:
            judge = load_judge(measure, self._device)
            return name, lambda moment: {name: _judged(judge, measure, moment)}
        if name in MODELS:
            find_ffmpeg()
            return name, None
        return name.partition("_relative")[0], getattr(self, f"_{name.partition('_relative')[0]}")()

    def _psnr_y(self) -> Meter:
        return lambda m: {"psnr_y": min(psnr_y(m.now.fitted, _given(m)), BEST_PSNR)}

    def _ssim(self) -> Meter:
        return lambda m: {"ssim": ssim_y(m.now.fitted[None], _given(m)[None])}

    def _niqe(self) -> Meter:
        natural = load_natural_statistics()
        return lambda m: {"niqe": niqe(m.now.image, natural)}

    def _brisque(self) -> Meter:
        ratings = load_ratings()
        return lambda m: {"brisque": brisque(m.now.image, ratings)}

    def _sharpness(self) -> Meter:
        return lambda m: {"sharpness": sharpness(m.now.image)}

    def _blockiness(self) -> Meter:
        return lambda m: {"blockiness": blockiness(m.now.image)}

    def _clip_iqa(self) -> Meter:
        network = self._clip(self._size)
        return lambda m: {"clip_iqa": fmean(score_batch(network, [m.now.image])[0])}

    def _flicker(self) -> Meter:
        def measure(m: Moment) -> Mapping[str, float]:
            if len(m.before) < 2:
                return {}
            return {"flicker": flicker(m.before[-2].image, m.before[-1].image, m.now.image)}

        return measure

    def _warping(self) -> Meter:
        device = self._device
        return lambda m: _warping(m, device) if m.before else {}


def _given(moment: Moment) -> Tensor:
    assert moment.now.reference is not None
    return moment.now.reference


def _judged(judge: Judge, measure: Measure, moment: Moment) -> float:
    if measure.reference:
        return judge(moment.now.fitted, moment.now.reference)
    return judge(moment.now.image, None)


@torch.no_grad()
def _warping(moment: Moment, device: torch.device) -> dict[str, float]:
    """The flow is the reference's; without one the video's own."""
    last, now = moment.before[-1], moment.now
    clip = torch.stack([last.fitted, now.fitted]).to(device)
    truth = clip
    if now.reference is not None and last.reference is not None:
        truth = torch.stack([last.reference, now.reference]).to(device)
    motion = find_motion_small(truth[:1], truth[1:], find_flow, FLOW_SIDE)
    if float(motion.visible.mean()) < _LEAST_VISIBLE:
        return {}
    error = 1000 * warping_error(clip, [motion])
    if truth is clip:
        return {"warping": error}
    own = 1000 * warping_error(truth, [motion])
    return {"warping": error, "warping_relative": error / max(own, _LEAST_RELATIVE)}
