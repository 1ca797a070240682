"""What the benchmarks share: the validation clips, the shipped weights, tables."""

import platform
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from textovsr.core.config import RecurrentConfig
from textovsr.core.job import Job
from textovsr.core.pipeline import restore_frames
from textovsr.core.restorers.loading import make_restorer
from textovsr.core.video.reader import VideoReader
from textovsr.models.catalog import find_weights
from textovsr.models.registry import load_network
from textovsr.models.text_ovsr import TextOVSR

VALIDATE = Path(__file__).parent.parent / "tests" / "data" / "validate"
CLIPS = ("vtest", "bikes")
KINDS = ("bicubic", "degraded")


def read_clip(name: str, frames: int) -> Tensor:
    """The first frames of a validation clip, (T,3,H,W) in [0,1]."""
    with VideoReader(VALIDATE / f"{name}.mkv") as reader:
        return torch.stack([frame.image for _, frame in zip(range(frames), reader, strict=False)])


def load_lite() -> TextOVSR:
    """The shipped network."""
    network = load_network(find_weights("textovsr-lite", []))
    assert isinstance(network, TextOVSR)
    return network


def run(network: torch.nn.Module, clip: Tensor, config: RecurrentConfig, prompt: str = "") -> Tensor:
    """Stream a clip (T,3,H,W) through a network: (T,3,4H,4W)."""
    restorer = make_restorer(network, config, torch.device("cpu"), memory=4 << 30)
    frames = [(frame, 0.0) for frame in clip]
    return torch.stack(list(restore_frames(frames, restorer, Job(degradation=prompt))))


def machine() -> str:
    """One line on where this runs."""
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)
