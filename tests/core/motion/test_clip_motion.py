"""The motion of a clip as data: what fits, what is refused, and its parts."""

import pytest
import torch

from textovsr.core.errors import ShapeError
from textovsr.core.motion.clip_motion import ClipMotion


def motion(frames: int, height: int = 4, width: int = 6) -> ClipMotion:
    generator = torch.Generator().manual_seed(frames)
    shapes = [(frames - 1, channels, height, width) for channels in (2, 2, 1, 1)]
    return ClipMotion(*(torch.rand(shape, generator=generator) for shape in shapes))


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_it_knows_its_frames_and_their_size(frames: int) -> None:
    assert motion(frames).length == frames
    assert motion(frames).size == (4, 6)


@pytest.mark.parametrize("name", ["backward_flow", "forward_occluded", "backward_occluded"])
def test_what_does_not_fit_is_named(name: str) -> None:
    parts = {**vars(motion(3)), name: vars(motion(4))[name]}
    with pytest.raises(ShapeError, match=rf"Expected {name} of shape \(2,[ 0-9,]*\).*got \(3,"):
        ClipMotion(**parts)


def test_a_flow_without_two_channels_is_refused() -> None:
    parts = vars(motion(3))
    with pytest.raises(ShapeError, match=r"forward_flow of shape \(T-1,2,h,w\), got \(2, 1, 4, 6\)"):
        ClipMotion(**{**parts, "forward_flow": parts["forward_occluded"]})


def test_a_part_holds_the_pairs_within_it() -> None:
    whole = motion(7)
    part = whole.frames(2, 5)
    assert part.length == 3
    assert torch.equal(part.forward_flow, whole.forward_flow[2:4])
    assert torch.equal(part.backward_occluded, whole.backward_occluded[2:4])
    assert whole.frames(6, 7).length == 1


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (2, 2), (3, 2), (0, 8)])
def test_frames_outside_are_refused(start: int, stop: int) -> None:
    with pytest.raises(ShapeError, match=rf"frames 0 to 7, got {start} to {stop}"):
        motion(7).frames(start, stop)


def test_it_moves_to_a_device_as_a_whole() -> None:
    moved = motion(3).to("meta")
    assert {tensor.device.type for tensor in vars(moved).values()} == {"meta"}
