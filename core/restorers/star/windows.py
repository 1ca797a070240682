"""Which frames STAR's network sees together at every step, and which of its predictions are kept. No tensors."""

from itertools import pairwise


def step_windows(total: int, length: int) -> tuple[range, ...]:
    """Windows that overlap by half, as published; the last one is up to a quarter longer rather than a short one more.

    Args:
        total: frames, 1 or more.
        length: of a window, 1 or more; a clip that is up to a quarter longer is one window.
    """
    stride = length - length // 2
    starts = [0]
    while starts[-1] + 1.25 * length < total:
        starts.append(starts[-1] + stride)
    whole = (range(start, start + length) for start in starts[:-1])
    return (*whole, range(starts[-1], total))


def kept_frames(windows: tuple[range, ...]) -> tuple[range, ...]:
    """The frames that each window is asked for: neighbours meet in the middle of what they share."""
    cuts = [following.start + (window.stop - following.start) // 2 for window, following in pairwise(windows)]
    edges = [windows[0].start, *cuts, windows[-1].stop]
    return tuple(range(start, stop) for start, stop in pairwise(edges))
