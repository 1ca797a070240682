"""The methods that are compared: add one to ``list_methods``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from common import run
from quality_peers import AnimeVideo, X4Plus, load_basicvsr, load_ncnn
from torch import Tensor, nn

from textovsr.core.config import RecurrentConfig
from textovsr.models.catalog import SHIPPED, detail_end, find_weights
from textovsr.models.dial import load_dialled

Upscale = Callable[[Tensor], Tensor]
"""A clip (T,3,H,W) in [0,1] -> (T,3,4H,4W), not clamped."""

Guided = Callable[[Tensor, str], Tensor]
"""The same, with a text."""


@dataclass(frozen=True)
class Method:
    """One of the methods.

    Attributes:
        name: in tables and pictures.
        load: makes it ready to run; the downloads are kept in the folder it is given.
        slow: seconds a frame, so that it is given few.
        guided: makes it ready to run with a text, where texts mean anything to it.
    """

    name: str
    load: Callable[[Path], Upscale]
    slow: bool = False
    guided: Callable[[], Guided] | None = None


def list_methods(weights: Sequence[Path], fidelities: Sequence[float]) -> list[Method]:
    """All methods, those under test first.

    Args:
        weights: files to measure beside the shipped ones.
        fidelities: places on the dial, for the weights that have a detail end; the others are run as they are.
    """
    methods = [Method("bicubic", lambda cache: bicubic)]
    methods += [
        Method("animevideov3", lambda cache: _per_frame(load_ncnn(AnimeVideo, cache))),
        Method("BasicVSR-REDS", lambda cache: load_basicvsr(cache)),
        Method("x4plus", lambda cache: _per_frame(load_ncnn(X4Plus, cache)), slow=True),
    ]
    for path in weights:
        methods += _ours(path.stem, path, fidelities)
    for shipped in SHIPPED:
        methods += _ours(shipped.name, find_weights(shipped.name, []), fidelities)
    return methods


def bicubic(clip: Tensor) -> Tensor:
    """What every method has to beat."""
    return F.interpolate(clip, scale_factor=4, mode="bicubic")


def _ours(name: str, path: Path, fidelities: Sequence[float]) -> list[Method]:
    """One method a place on the dial."""
    if not detail_end(path).is_file():
        fidelities, form = [1.0], "{name}"
    else:
        form = "{name} fidelity {fidelity:g}"
    methods = []
    for fidelity in fidelities:
        guided = partial(_guided, path, fidelity)
        label = form.format(name=name, fidelity=fidelity)
        methods.append(Method(label, partial(_unguided, guided), guided=guided))
    return methods


def _guided(path: Path, fidelity: float) -> Guided:
    network = load_dialled(path, fidelity)
    return lambda clip, text: run(network, clip, RecurrentConfig(), text)


def _unguided(guided: Callable[[], Guided], cache: Path) -> Upscale:
    upscale = guided()
    return lambda clip: upscale(clip, "")


def _per_frame(network: nn.Module) -> Upscale:
    return lambda clip: torch.cat([network(frame) for frame in clip.split(1)])
