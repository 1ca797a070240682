"""LATENTs cut along their frames and joined again, with everything in them that belongs to a frame."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..core.config import LATENT_MEMORY
from ..core.errors import SettingError, ShapeError
from ..core.latents import WINDOW, allocate_latents
from ..core.overlaps import Curve
from ..core.stitch import stitch
from .host.folders import temporary_path
from .host.progress import check_cancelled

Latent = dict[str, Any]
"""A LATENT of the host: ``samples`` (T,C,h,w) or (B,C,T,h,w), and what goes with them."""


def frame_axis(latent: Latent) -> int:
    """The dimension of the frames: the batch of (T,C,h,w), the third of (B,C,T,h,w).

    A batch of (T,C,1,h,w), which is what a video model makes of a batch of pictures, has its frames in the batch.
    A window says ``axis`` beside its place, since one of a single frame does not show it.

    Raises:
        ShapeError: these are no pictures.
    """
    samples = latent["samples"]
    nested = getattr(samples, "is_nested", False)
    if nested or samples.ndim not in (4, 5):
        found = "several in one" if nested else f"{samples.ndim} dimensions"
        raise ShapeError(f"Expected latents of pictures, (T,C,h,w) or (B,C,T,h,w), got {found}; split them before.")
    if samples.ndim == 4:
        return 0
    guess = 0 if samples.shape[2] == 1 < samples.shape[0] else 2
    return int(latent.get(WINDOW, {}).get("axis", guess))


def frames_of(latent: Latent) -> int:
    """How many latent frames there are."""
    return int(latent["samples"].shape[frame_axis(latent)])


def place_of(latent: Latent) -> tuple[range, int] | None:
    """Which frames of the whole a window holds, and how many the whole has; None if it does not say.

    Raises:
        SettingError: the window does not lie in the whole any more.
    """
    said = latent.get(WINDOW)
    if said is None:
        return None
    place, total = range(said["start"], said["start"] + frames_of(latent)), said["total"]
    if place.stop > total:
        raise SettingError(
            f"Expected a window that begins at frame {place.start} of {total} to have {total - place.start} frames at "
            f"most, got {len(place)}; do nothing between splitting and stitching that adds frames."
        )
    return place, total


def cut_latent(latent: Latent, frames: range) -> Latent:
    """Some frames of a LATENT, with their masks and numbers; a view, which carries its place.

    A window that is cut again says its place in the first whole.
    """
    axis, length = frame_axis(latent), frames_of(latent)
    within = place_of(latent) or (range(length), length)
    cut = {**latent, "samples": latent["samples"].narrow(axis, frames.start, len(frames))}
    cut[WINDOW] = {"start": within[0].start + frames.start, "total": within[1], "axis": axis}
    if latent.get("noise_mask") is not None:
        mask, mask_axis = _mask_of_frames(latent["noise_mask"], axis, length)
        cut["noise_mask"] = mask if mask.shape[mask_axis] == 1 else mask.narrow(mask_axis, frames.start, len(frames))
    if len(latent.get("batch_index", ())) == length:
        cut["batch_index"] = list(latent["batch_index"])[frames.start : frames.stop]
    return cut


def join_latents(latents: Sequence[Latent], places: Sequence[range], curve: Curve) -> Latent:
    """Windows of LATENTs as one, see ``stitch``; what belongs to no frame is taken from the first.

    Raises:
        SettingError, ShapeError: from ``stitch``.
    """
    first, axis = latents[0], frame_axis(latents[0])
    whole = range(places[0].start, places[-1].stop)
    joined = {key: value for key, value in first.items() if key not in (WINDOW, "noise_mask", "batch_index")}
    joined["samples"] = join([latent["samples"] for latent in latents], places, curve, axis)
    known = place_of(first)
    if known is not None and len(whole) < known[1]:
        joined[WINDOW] = {"start": whole.start, "total": known[1], "axis": axis}
    mask = _join_masks([latent.get("noise_mask") for latent in latents], places, curve)
    if mask is not None:
        joined["noise_mask"] = mask
    numbers = [latent.get("batch_index", ()) for latent in latents]
    if all(len(some) == len(place) for some, place in zip(numbers, places, strict=True)):
        by_frame = {t: n for place, some in zip(places, numbers, strict=True) for t, n in zip(place, some, strict=True)}
        joined["batch_index"] = [by_frame[frame] for frame in whole]
    return joined


def join(windows: Iterable[Tensor], places: Sequence[range], curve: Curve, axis: int = 0) -> Tensor:
    """Windows as one tensor on the CPU, frames along ``axis``.

    Memory beside the windows: an overlap, and the result, which goes to a file where it is larger than LATENT_MEMORY.
    """

    def frames_first() -> Iterator[Tensor]:
        for window in windows:
            check_cancelled()
            yield window.movedim(axis, 0)

    result: Tensor | None = None
    for number, frame in enumerate(stitch(frames_first(), places, curve)):
        if result is None:
            shape = (places[-1].stop - places[0].start, *frame.shape)
            result = allocate_latents(shape, frame.dtype, temporary_path("").parent, LATENT_MEMORY * 1_000_000)
        result[number] = frame
    assert result is not None
    return result.movedim(0, axis)


def _join_masks(masks: Sequence[Tensor | None], places: Sequence[range], curve: Curve) -> Tensor | None:
    """One mask: a picture for all frames stays, pictures of frames are joined; None if some windows have none."""
    whole = [mask for mask in masks if mask is not None]
    if len(whole) != len(places):
        return None
    axis = 2 if whole[0].ndim == 5 else 0
    return whole[0] if whole[0].shape[axis] == 1 != len(places[0]) else join(whole, places, curve, axis)


def _mask_of_frames(mask: Tensor, axis: int, length: int) -> tuple[Tensor, int]:
    """A mask of one picture, or of one for each frame as the host would have it; and the dimension of its pictures."""
    if axis == 2:
        if mask.ndim < 5:
            mask = mask.reshape(1, 1, -1, *mask.shape[-2:])
        if mask.shape[2] not in (1, length):
            size = (length, *mask.shape[-2:])
            mask = torch.nn.functional.interpolate(mask.float(), size=size, mode="trilinear")
        return mask, 2
    if mask.shape[0] not in (1, length):
        repeats = -(-length // mask.shape[0])
        mask = mask.repeat(repeats, *[1] * (mask.ndim - 1))[:length]
    return mask, 0
