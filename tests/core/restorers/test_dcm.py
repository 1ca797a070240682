"""SDATC's distortion control module as a restorer: tiles, windows, and being found by its file."""

from pathlib import Path

import pytest
import torch

from textovsr.core.config import RecurrentConfig
from textovsr.core.pipeline import Job, restore_frames
from textovsr.core.restorers.dcm import DcmRestorer
from textovsr.core.restorers.loading import load_restorer
from textovsr.models.registry import save_weights
from textovsr.models.sdatc.dcm import Dcm, DcmConfig

TINY = DcmConfig(channels=8, groups=1, depth=2, heads=2, upsampler="direct", skip="bicubic")
CPU = torch.device("cpu")


def network() -> Dcm:
    """Random weights, the same every time."""
    torch.manual_seed(3)
    net = Dcm(TINY).eval().requires_grad_(False)
    for parameter in net.parameters():
        parameter.copy_(torch.randn_like(parameter) * 0.1)
    return net


def restore(clip: torch.Tensor, config: RecurrentConfig, memory: int = 1 << 30) -> torch.Tensor:
    """Through the pipeline's stream of windows."""
    restorer = DcmRestorer(network(), config, CPU, memory)
    return torch.stack(list(restore_frames([(frame, 0.0) for frame in clip], restorer, Job())))


def test_it_is_the_network_frame_by_frame() -> None:
    clip = torch.rand(5, 3, 20, 27)
    torch.testing.assert_close(restore(clip, RecurrentConfig()), network()(clip).clamp(0, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(64, 96), (41, 83)])
def test_tiles_cannot_be_told_from_the_whole_frame(size: tuple[int, int]) -> None:
    """With one group all that a pixel sees lies within the context, so that nothing at all changes."""
    clip = torch.rand(1, 3, *size)
    whole = restore(clip, RecurrentConfig())
    for tile in (16, 24):
        torch.testing.assert_close(restore(clip, RecurrentConfig(tile=tile)), whole, rtol=0, atol=1e-5)


def test_little_memory_makes_tiles_and_windows_are_as_asked() -> None:
    rich, poor = (DcmRestorer(network(), RecurrentConfig(), CPU, memory) for memory in (1 << 30, 1 << 20))
    assert rich.plan(200, 200).tiles == (0,)
    assert poor.plan(200, 200).tiles == (64,)
    assert DcmRestorer(network(), RecurrentConfig(window=2), CPU, 1 << 20).plan(9, 9).length == 2


def test_other_weights_are_another_identity() -> None:
    first, second = (DcmRestorer(network(), RecurrentConfig(), CPU, 1 << 20) for _ in range(2))
    assert first.identity == second.identity
    third = DcmRestorer(network(), RecurrentConfig(), CPU, 1 << 20)
    third.network.norm.bias.fill_(1.0)
    assert third.identity != first.identity


def test_its_file_is_known_by_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "dcm.safetensors"
    save_weights(network().state_dict(), path, {})
    restorer = load_restorer(path, RecurrentConfig(), CPU, 1 << 30)
    assert isinstance(restorer, DcmRestorer)
    assert restorer.network.config == TINY
