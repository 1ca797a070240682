"""Overlapping windows become one run of frames again, each frame given out as soon as no window can change it."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from .errors import SettingError, ShapeError
from .overlaps import Curve, blend_weights


def stitch(windows: Iterable[Tensor], places: Sequence[range], curve: Curve) -> Iterator[Tensor]:
    """Blend windows over their common frames: interweaved latent transition (DiffVSR, section 3.3).

    A frame is ``w * before + (1 - w) * window``, with the weights of ``blend_weights`` over all that the window shares
    with those before it; where three or more windows meet, this is done window after window. Peak memory beside what
    the caller holds is one window and one overlap, if ``windows`` makes each when it is asked for: frames that no later
    place reaches come out before the next window is drawn.

    Args:
        windows: (T_i, ...) each, floating, frames first, the same size after the frames.
        places: the frames of the whole that each window holds, in order.
        curve: how one window fades into the next.

    Yields:
        (...) frames, from the first frame of the first place to the last of the last, each once. They may be views of a
        window: copy what is to outlive it.

    Raises:
        SettingError: frames are missing between two places, or a window ends no later than the one before it.
        ShapeError: the windows are not as many, as long, or of the same size as they should be.
    """
    check_places(places)
    waiting: deque[Tensor] = deque()  # the frames from ``place.start`` on that later windows may change
    size: torch.Size | None = None
    drawn = iter(windows)
    ends = [*(place.start for place in places[1:]), places[-1].stop]
    for number, (place, end) in enumerate(zip(places, ends, strict=True)):
        window = next(drawn, None)  # a loop over the windows would hold one while the next is made
        if window is None:
            raise ShapeError(f"Expected {len(places)} windows, got {number}.")
        size = _checked(window, place, size)
        blended = _fade(waiting, window, curve)
        yield from blended[: end - place.start]
        waiting = deque(frame.clone() for frame in blended[end - place.start :])
        del blended, window
    if next(drawn, None) is not None:
        raise ShapeError(f"Expected {len(places)} windows, got more.")


def check_places(places: Sequence[range]) -> None:
    """Make sure that windows follow each other without a hole.

    Raises:
        SettingError: they do not, or there is none.
    """
    if not places:
        raise SettingError("Expected windows to stitch, got none.")
    for number, (place, following) in enumerate(pairwise(places), 1):
        if following.start > place.stop:
            raise SettingError(
                f"Expected windows without a hole between them, got frames {_named(place)} in window {number} and "
                f"{_named(following)} in the next; give every window that was split, in its order."
            )
        if following.start <= place.start or following.stop <= place.stop:
            raise SettingError(
                f"Expected each window to begin and end after the one before it, got frames {_named(place)} in window "
                f"{number} and {_named(following)} in the next; give the windows in their order, or a smaller overlap."
            )


def _checked(window: Tensor, place: range, size: torch.Size | None) -> torch.Size:
    if len(window) != len(place):
        raise ShapeError(
            f"Expected a window of {len(place)} frames for frames {_named(place)}, got {len(window)}; what is done to "
            "a window must keep its number of frames."
        )
    if size is not None and window.shape[1:] != size:
        raise ShapeError(
            f"Expected windows of one size, got frames of {tuple(size)} and then of {tuple(window.shape[1:])}; do the "
            "same to every window."
        )
    return window.shape[1:]


def _fade(before: Sequence[Tensor], window: Tensor, curve: Curve) -> list[Tensor]:
    """The frames of ``window``, its first ones blended with the last ones of what was before."""
    frames = list(window)
    for index, weight in enumerate(blend_weights(len(before), curve)):
        # lerp gives equal frames back exactly, and each end exactly at weights of 0 and 1.
        frames[index] = torch.lerp(frames[index], before[index].to(frames[index]), weight)
    return frames


def _named(place: range) -> str:
    return f"{place.start} to {place.stop - 1}"
