"""Networks so small that a test can run them often."""

from dataclasses import replace
from pathlib import Path

import torch

from textovsr.models.catalog import detail_end
from textovsr.models.clip_text import ClipTextConfig
from textovsr.models.registry import save_weights
from textovsr.models.text_ovsr import TextOVSR, TextOVSRConfig

TINY = TextOVSRConfig(
    channels=8,
    blocks=1,
    cleaning_blocks=1,
    flow_levels=5,
    attention_window=8,
    text_hidden=8,
    negative=False,
    text=ClipTextConfig(width=8, layers=1, heads=1, hidden=8),
)


def tiny_network(seed: int = 0, **changes: object) -> TextOVSR:
    """A network with random weights, in eval mode, without gradients."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = TextOVSR(replace(TINY, **changes))  # type: ignore[arg-type]
    return network.eval().requires_grad_(False)


def save_tiny(path: Path, **changes: object) -> Path:
    """A checkpoint of such a network; returns its path."""
    save_weights(tiny_network(**changes).state_dict(), path, {"licence": "none"})
    return path


def add_detail_end(path: Path) -> None:
    """Put other random weights beside a tiny checkpoint, as the dial's other end."""
    save_weights(tiny_network(seed=5).state_dict(), detail_end(path), {})
