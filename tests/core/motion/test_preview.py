"""Flow as colours: directions, scale, hidden pixels, ends."""

import pytest
import torch
from torch import Tensor

from textovsr.core.errors import CancelledError
from textovsr.core.motion.config import MotionConfig
from textovsr.core.motion.preview import draw_flow, preview_flow
from textovsr.core.motion.source import ImageMotion
from textovsr.tests.core.motion.moving import Numbered, numbered, ready

UNCUT = MotionConfig(cut_threshold=1.0)


def color(x: float, y: float, longest: float = 1.0, hidden: float = 0.0) -> Tensor:
    flow = torch.tensor([float(x), float(y)]).view(1, 2, 1, 1)
    return draw_flow(flow, torch.full((1, 1, 1, 1), hidden), longest).flatten()


def silent(done: int, total: int | None, newest: Tensor) -> None:
    assert newest.shape[0] == 3


def test_directions_have_their_colours() -> None:
    torch.testing.assert_close(color(1, 0), torch.tensor([1, 0.25, 0.25]))
    torch.testing.assert_close(color(-1, 0), torch.tensor([0, 0.75, 0.75]))
    assert color(0, 1)[1] > 0.9  # down: green
    assert color(0, -1)[2] > 0.9  # up: blue
    assert torch.equal(color(0, 0), torch.ones(3))


def test_what_moves_faster_is_stronger_up_to_the_scale() -> None:
    assert torch.equal(color(3, 0, longest=3), color(30, 0, longest=3))
    torch.testing.assert_close(color(1.5, 0, longest=3), (color(0, 0) + color(3, 0, longest=3)) / 2)


def test_what_is_hidden_is_black() -> None:
    assert torch.equal(color(1, 0, hidden=1.0), torch.zeros(3))


@pytest.mark.parametrize(("frames", "asked", "shown"), [(20, 16, 15), (5, 16, 4), (9, 9, 8), (9, 16, 8), (2, 2, 1)])
def test_there_is_a_picture_for_every_pair(frames: int, asked: int, shown: int) -> None:
    net = Numbered()
    assert preview_flow(ImageMotion(numbered(frames), lambda: ready(net), UNCUT), silent, asked).shape[0] == shown


@pytest.mark.parametrize(("frames", "asked"), [(1, 16), (5, 1)])
def test_a_single_frame_is_white(frames: int, asked: int) -> None:
    found = preview_flow(ImageMotion(numbered(frames), lambda: ready(Numbered()), UNCUT), silent, asked)
    assert torch.equal(found, torch.ones(1, 3, 32, 48))


def test_all_pictures_have_one_scale() -> None:
    """The second pair is three frames apart, the first one: its colour is three times as strong."""
    clip = torch.cat([numbered(2), numbered(5)[4:]])
    found = 1 - preview_flow(ImageMotion(clip, lambda: ready(Numbered()), UNCUT), silent)
    torch.testing.assert_close(found[1, :, 5:, :-5], 3 * found[0, :, 5:, :-5], rtol=1e-3, atol=0.02)


def test_it_reports_and_can_be_stopped() -> None:
    told = []

    def report(done: int, total: int | None, newest: Tensor) -> None:
        told.append((done, total))
        if done > 10:
            raise CancelledError("stop")

    with pytest.raises(CancelledError):
        preview_flow(ImageMotion(numbered(30), lambda: ready(Numbered()), UNCUT), report, 25)
    assert told == [(8, 25), (15, 25)]


def test_a_large_picture_is_shown_small() -> None:
    found = preview_flow(ImageMotion(numbered(2, (700, 1400)), lambda: ready(Numbered()), UNCUT), silent)
    assert found.shape == (1, 3, 256, 512)
