"""LATENTs cut along their frames and joined again, with everything in them that belongs to a frame."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..core.errors import SettingError, ShapeError
from ..core.overlaps import Curve
from ..core.stitch import stitch
from .host.progress import check_cancelled

Latent = dict[str, Any]
"""A LATENT of the host: ``samples`` (T,C,h,w) or (B,C,T,h,w), and what goes with them."""

PLACE = "textovsr_window"
"""Key under which a window carries its place: {"start": first frame, "total": frames of the whole}."""


def frame_axis(samples: Tensor) -> int:
    """The dimension of the frames: the batch of (T,C,h,w), the third of (B,C,T,h,w).

    A batch of (T,C,1,h,w), which is what a video model makes of a batch of pictures, has its frames in the batch.

    Raises:
        ShapeError: these are no pictures.
    """
    if getattr(samples, "is_nested", False) or samples.ndim not in (4, 5):
        found = "several in one" if getattr(samples, "is_nested", False) else f"{samples.ndim} dimensions"
        raise ShapeError(f"Expected latents of pictures, (T,C,h,w) or (B,C,T,h,w), got {found}; split them before.")
    return 0 if samples.ndim == 4 or samples.shape[2] == 1 else 2


def place_of(latent: Latent) -> tuple[range, int] | None:
    """Which frames of the whole a window holds, and how many the whole has; None if it does not say.

    Raises:
        SettingError: the window does not lie in the whole any more.
    """
    said = latent.get(PLACE)
    if said is None:
        return None
    samples = latent["samples"]
    place, total = range(said["start"], said["start"] + samples.shape[frame_axis(samples)]), said["total"]
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
    samples = latent["samples"]
    axis = frame_axis(samples)
    length = samples.shape[axis]
    within = place_of(latent) or (range(length), length)
    cut = {**latent, "samples": samples.narrow(axis, frames.start, len(frames))}
    cut[PLACE] = {"start": within[0].start + frames.start, "total": within[1]}
    if "noise_mask" in latent:
        mask, mask_axis = _mask_of_frames(latent["noise_mask"], samples)
        cut["noise_mask"] = mask if mask.shape[mask_axis] == 1 else mask.narrow(mask_axis, frames.start, len(frames))
    if len(latent.get("batch_index", ())) == length:
        cut["batch_index"] = list(latent["batch_index"])[frames.start : frames.stop]
    return cut


def join_latents(latents: Sequence[Latent], places: Sequence[range], curve: Curve) -> Latent:
    """Windows of LATENTs as one, see ``stitch``; what belongs to no frame is taken from the first.

    Raises:
        SettingError, ShapeError: from ``stitch``.
    """
    first = latents[0]
    axis = frame_axis(first["samples"])
    joined = {**first, "samples": join([latent["samples"] for latent in latents], places, curve, axis)}
    whole = range(places[0].start, places[-1].stop)
    known = place_of(first)
    joined.pop(PLACE, None)
    if known is not None and len(whole) < known[1]:
        joined[PLACE] = {"start": whole.start, "total": known[1]}
    masks = [latent.get("noise_mask") for latent in latents]
    mask_axis = 2 if masks[0] is not None and masks[0].ndim == 5 else 0
    if all(mask is not None and mask.shape[mask_axis] == len(p) for mask, p in zip(masks, places, strict=True)):
        joined["noise_mask"] = join(masks, places, curve, mask_axis)
    if all(len(latent.get("batch_index", ())) == len(p) for latent, p in zip(latents, places, strict=True)):
        numbers = {
            t: n for p, la in zip(places, latents, strict=True) for t, n in zip(p, la["batch_index"], strict=True)
        }
        joined["batch_index"] = [numbers[t] for t in whole]
    else:
        joined.pop("batch_index", None)
    return joined


def join(windows: Sequence[Tensor], places: Sequence[range], curve: Curve, axis: int = 0) -> Tensor:
    """Windows as one tensor, frames along ``axis``; memory beside the windows: the result and an overlap."""

    def frames_first() -> Iterator[Tensor]:
        for window in windows:
            check_cancelled()
            yield window.movedim(axis, 0)

    result: Tensor | None = None
    for number, frame in enumerate(stitch(frames_first(), places, curve)):
        if result is None:
            shape = (places[-1].stop - places[0].start, *frame.shape)
            result = torch.empty(shape, dtype=frame.dtype, device=frame.device)
        result[number] = frame
    assert result is not None
    return result.movedim(0, axis)


def _mask_of_frames(mask: Tensor, samples: Tensor) -> tuple[Tensor, int]:
    """A mask of one picture, or of one for each frame as the host would have it; and the dimension of its pictures."""
    axis, length = frame_axis(samples), samples.shape[frame_axis(samples)]
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
