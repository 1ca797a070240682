"""Index arithmetic of windows that overlap: which frames, how they are blended, which noise they see. No tensors."""

import math
import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

from .errors import SettingError

Curve = Literal["code", "paper", "cosine", "cut"]
"""How the previous window fades into the next over their common frames, see ``blend_weights``."""

CURVES: tuple[Curve, ...] = get_args(Curve)


def overlapping_windows(total: int, length: int, overlap: int) -> tuple[range, ...]:
    """Cut ``total`` frames into windows of ``length`` of which neighbours share at least ``overlap`` frames.

    Windows begin every ``length - overlap`` frames; the last one is moved back so that it is as long as the others,
    and then shares more. Fewer frames than ``length`` are one short window.

    Raises:
        SettingError: there is no frame, or the overlap is not shorter than the window.
    """
    _check(total, length, overlap)
    if total <= length:
        return (range(total),)
    starts = [*range(0, total - length, length - overlap), total - length]
    return tuple(range(start, start + length) for start in starts)


def check_windows(length: int, overlap: int, curve: str) -> None:
    """Check what a system's settings say of its windows.

    Raises:
        SettingError: a window of no frame, an overlap that is not shorter, or an unknown curve.
    """
    if length < 1 or not 0 <= overlap < length:
        raise SettingError(f"Expected windows of 1 frame or more that overlap by less, got {length} and {overlap}.")
    if curve not in CURVES:
        raise SettingError(f"Expected one of the curves {', '.join(CURVES)}, got {curve!r}.")


def blend_weights(overlap: int, curve: Curve) -> tuple[float, ...]:
    """Weight of the previous window over ``overlap`` common frames, first to last; the next one has the rest of 1.

    Interweaved latent transition of DiffVSR, with n frames and j from 0:

    - ``code``: 0.2 + 0.6 (1 - j / (n-1)), from 0.8 to 0.2, as published in code;
    - ``paper``: 1 - j / (n-1), from 1 to 0, as published in words;
    - ``cosine``: (1 + cos(pi (j + 1/2) / n)) / 2, smooth at both ends;
    - ``cut``: the previous window up to the middle, the next one from there.

    A single common frame is shared evenly, except by ``cut``, where it is the next window's.

    Raises:
        SettingError: an unknown curve, or a negative overlap.
    """
    if overlap < 0:
        raise SettingError(f"Expected an overlap of at least 0 frames, got {overlap}.")
    ramp = [1 - j / (overlap - 1) for j in range(overlap)] if overlap > 1 else [0.5] * overlap
    if curve == "code":
        return tuple(0.2 + 0.6 * part for part in ramp)
    if curve == "paper":
        return tuple(ramp)
    if curve == "cosine":
        return tuple((1 + math.cos(math.pi * (j + 0.5) / overlap)) / 2 for j in range(overlap))
    if curve == "cut":
        return tuple(float(j < overlap // 2) for j in range(overlap))
    raise SettingError(f"Expected one of the curves {', '.join(CURVES)}, got {curve!r}.")


def rescheduled_indices(total: int, length: int, overlap: int, seed: int) -> tuple[int, ...]:
    """Say for every frame which frame of base noise it begins from (noise rescheduling of DiffVSR).

    The first window keeps its own noise. Every later window brings ``length - overlap`` new frames, which get the noise
    of the frames that it leaves behind, shuffled: so each window sees the same ``length`` noise frames, each once, and
    common frames see the same noise. With (8, 4) this is the published order, with a seeded shuffle.

    Returns:
        ``total`` indices below ``min(total, length)``.

    Raises:
        SettingError: as ``overlapping_windows``.
    """
    windows = overlapping_windows(total, length, overlap)
    indices = list(windows[0])
    chance = random.Random(seed)
    for window, following in pairwise(windows):
        left_behind = indices[window.start : following.start]
        chance.shuffle(left_behind)
        indices += left_behind
    return tuple(indices)


def filled_order(count: int, length: int, mirror: bool = True) -> list[int]:
    """Numbers of ``length`` frames made of ``count``: back and forth again, or the last one for all that follow."""
    turn = max(2 * (count - 1), 1)
    if not mirror or count < 2:
        return [min(i, count - 1) for i in range(length)]
    return [min(i % turn, turn - i % turn) for i in range(length)]


def with_context(kept: range, total: int, size: int, context: int) -> list[tuple[range, range]]:
    """Cut frames into groups: the frames of each, and those that are decoded for them.

    Args:
        kept: the frames that are wanted, of
        total: frames that there are latents of.
        size: of a group at most.
        context: frames before and after a group that are decoded with it, where there are some.
    """
    starts = range(kept.start, kept.stop, size)
    wanted = [range(start, min(start + size, kept.stop)) for start in starts]
    return [(part, range(max(part.start - context, 0), min(part.stop + context, total))) for part in wanted]


def place_windows(lengths: Sequence[int], overlap: int) -> tuple[range, ...]:
    """Where windows lie of which each begins ``overlap`` frames before the end of the one before it."""
    places: list[range] = []
    stop = overlap
    for length in lengths:
        start = stop - overlap
        stop = start + length
        places.append(range(start, stop))
    return tuple(places)


def check_overlap(places: Sequence[range], overlap: int) -> None:
    """Make sure that neighbours share ``overlap`` frames, and the last two at least as many.

    Raises:
        SettingError: they do not.
    """
    shared = [place.stop - following.start for place, following in pairwise(places)]
    if any(frames != overlap for frames in shared[:-1]) or any(frames < overlap for frames in shared[-1:]):
        found = ", ".join(map(str, sorted(set(shared))))
        raise SettingError(
            f"Expected windows that share {overlap} frames, got windows that share {found}; set the overlap to -1 "
            "(what the windows say) or to what they were split with."
        )


def _check(total: int, length: int, overlap: int) -> None:
    if total < 1:
        raise SettingError(f"Expected at least 1 frame, got {total}.")
    if length < 1 or not 0 <= overlap < length:
        raise SettingError(
            f"Expected windows of at least 1 frame and an overlap from 0 to one less, got windows of {length} with an "
            f"overlap of {overlap}; choose longer windows or a smaller overlap."
        )
