"""Measures of the package pyiqa (IQA-PyTorch), for those who have installed it and have its weights."""

import importlib
from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import MissingDependencyError, WeightsError
from .measures import Measure

Judge = Callable[[Tensor, Tensor | None], float]
"""Takes a frame (3,H,W) in [0,1] and its reference, or None; gives the score."""


def load_judge(measure: Measure, device: torch.device) -> Judge:
    """One of pyiqa's metrics.

    Args:
        measure: one whose ``package`` is pyiqa.
        device: where it runs.

    Raises:
        MissingDependencyError: pyiqa is not installed, or this release of it has no such metric.
        WeightsError: it could not be built, as when its weights are neither there nor to be downloaded.
    """
    try:
        pyiqa = importlib.import_module("pyiqa")
    except ImportError as error:
        raise MissingDependencyError(
            f"Expected the package pyiqa for {measure.title}, found none; install it with pip install pyiqa (it brings "
            f"weights under licences of their own), or leave {measure.name} out."
        ) from error
    if measure.name not in pyiqa.list_models():
        raise MissingDependencyError(
            f"Expected a pyiqa that has {measure.title}, got one without it; leave {measure.name} out."
        )
    try:
        metric = pyiqa.create_metric(measure.name, device=device)
    except (OSError, RuntimeError, ValueError) as error:
        raise WeightsError(
            f"Expected pyiqa to load {measure.title}, got: {error}; pyiqa downloads its weights when a metric is used "
            "for the first time: let it, or put them where it looks for them."
        ) from error

    def judge(frame: Tensor, reference: Tensor | None) -> float:
        pair = [frame[None].to(device)]
        if measure.reference and reference is not None:
            pair.append(reference[None].to(device))
        with torch.no_grad():
            return float(metric(*(x.clamp(0, 1) for x in pair)))

    return judge
