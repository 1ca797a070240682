"""Motion-guided sampling (MGLD-VSR, ECCV 2024, section 3.2): latents are moved so that frames agree along the motion.

Frames are in the batch, (T,C,h,w), and the motion is at their size. No gradient goes through any network: what is
differentiated is the warping alone.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ...models.warp import warp
from ..errors import SettingError, ShapeError
from ..motion.clip_motion import ClipMotion
from .config import CHUNK, DETAIL_DEVIATION, DETAIL_GAIN, DETAIL_POWER, GuidanceConfig, GuidanceForm

_FINE = 3
"""Side of the box whose mean is not detail, in latent pixels."""

_ABLE = ("cpu", "cuda", "xpu")
"""Kinds of device on which the derivative of sampling a picture is known to exist; others leave it to the CPU."""

_Pull = Callable[[Tensor], Tensor]
"""The derivative of the loss by the disagreement: which way, and how strongly, a pixel is pulled."""


@dataclass(frozen=True)
class _Comparison:
    """n frames ``warp(x[source], flow)`` against n frames ``x[target]`` where ``seen``."""

    target: slice
    source: slice
    flow: Tensor
    seen: Tensor
    padding: str


def warping_gradient(
    latents: Tensor, motion: ClipMotion, form: GuidanceForm = "corrected", chunk: int = CHUNK
) -> Tensor:
    """Gradient of the masked L1 warping error by the latents, z.

    ``corrected``: the sum over all elements, of both directions and all neighbours, as in the paper (eq. 6)::

        sum |seen (warp(z[i+1], flow(i -> i+1)) - z[i])| + sum |seen (warp(z[i-1], flow(i -> i-1)) - z[i])|

    so that an element's gradient is between about -4 and 4 whatever the number and the size of the frames.

    ``reference``: the mean over the C h w elements of a frame, summed over the frames, as published in code, where the
    flow used is the one on the *warped* frame's grid, towards its other neighbour, and both passes begin by comparing
    with zeros (i from T-2 down to 0, then from 1 to T-1)::

        mean |seen (warp(z[i+1], flow(i+1 -> i+2)) - z[i])|, mean |seen (warp(z[i-1], flow(i-1 -> i-2)) - z[i])|

    Peak memory beside the result is that of ``chunk`` frames a few times. It may be called in inference mode.

    Args:
        latents: (T,C,h,w), any range and floating type; the work is done in float32 at least.
        motion: of the same T frames at (h,w), on any device.
        form: which of the two.
        chunk: pairs of frames at a time; the result does not depend on it.

    Returns:
        (T,C,h,w), zeros for a single frame; a normal tensor also in inference mode.

    Raises:
        ShapeError: the motion is of another clip or size.
    """
    _check(latents, motion)
    with torch.inference_mode(False):
        z = _working_copy(latents)
        gradient, _ = _descent(z, motion.to(z.device), form, chunk, torch.sign)
        if form == "reference":
            gradient /= z[0].numel()
        return gradient.to(latents)


def published_step(latents: Tensor, motion: ClipMotion, log_variance: float, config: GuidanceConfig) -> Tensor:
    """The guidance step of the published code: x + scale * log_variance * gradient.

    The logarithm of the posterior's variance is negative, so that this goes downhill; the paper has the variance
    itself. Made for latents of unit variance, right after the sampler's noise was added.

    Args:
        latents: (T,C,h,w), noisy.
        motion: as in ``warping_gradient``, which says what is raised.
        log_variance: of the step just made, see ``schedules.Schedule``.
        config: scale (published: 10), form and chunk.

    Returns:
        (T,C,h,w), the dtype of ``latents``.
    """
    gradient = warping_gradient(latents, motion, config.form, config.chunk)
    return latents + config.scale * log_variance * gradient


def guided(denoised: Tensor, motion: ClipMotion, config: GuidanceConfig, sigma: float) -> Tensor:
    """Move predicted clean latents so that neighbouring frames agree along the motion.

    It fits any sampler that predicts clean latents at a noise level. The Huber warping error, over all pairs and both
    directions, whose bend is at ``sigma``::

        sum huber(seen (warp(z[j], flow(i -> j)) - z[i])),  j = i + 1 and i - 1

    is lowered by ``scale * sigma^2 / (sigma^2 + d^2)`` steps (equal ones of at most 1), where d = ``DETAIL_DEVIATION``:
    all while the fine detail is still a guess, none once the noise is too weak for the sampler to take it up. A step
    goes to the minimum of a separable quadratic bound of the error, each element by its gradient over its curvature:
    it never raises the error, and moves an element by no more than half its disagreement with its neighbours, nor
    than sigma / 2.

    With ``keep_detail`` the fine part of the result gets back the deviation it had, per channel over the whole clip:
    what agrees becomes stronger instead of the picture softer. This may raise the error a little again. It is raised
    by the ratio lost to the power of ``DETAIL_POWER``: what was removed went along with the noise that is left, so
    that latents keep their deviation at the next step with a power of 1 where little noise is left, of 2 where all is.

    Peak memory beside the result is that of ``chunk`` frames a few times. It may be called in inference mode.

    Args:
        denoised: (T,C,h,w), the prediction at ``sigma``, of about unit variance, as the samplers' models have it.
        motion: of the same T frames at (h,w), on any device.
        config: the form must be ``corrected``: the published step has no meaning on a prediction.
        sigma: deviation of the noise over that of the data; of a rectified flow, sigma / (1 - sigma); may be infinite.

    Returns:
        (T,C,h,w), the dtype of ``denoised``.

    Raises:
        ShapeError: the motion is of another clip or size.
        SettingError: the reference form, or a negative sigma.
    """
    _check(denoised, motion)
    if config.form != "corrected":
        raise SettingError("Expected the corrected form on a prediction, got reference; use published_step() for it.")
    if not sigma >= 0:
        raise SettingError(f"Expected a sigma of 0 or more, got {sigma}.")
    open_share = 1.0 / (1.0 + (DETAIL_DEVIATION / sigma) ** 2) if sigma else 0.0
    with torch.inference_mode(False):
        z, motion = _working_copy(denoised), motion.to(_device(denoised))
        before = _fine_deviation(z, config.chunk) if config.keep_detail else None
        for size in _steps(config.scale * open_share):
            z -= size * _majorised(z, motion, config.chunk, sigma)
        if before is not None:
            _restore_detail(z, before, config.chunk)
        return z.to(denoised)


def warping_loss(latents: Tensor, motion: ClipMotion) -> float:
    """Mean of |warp(z[j], flow(i -> j)) - z[i]| over both directions where seen; 0 when nothing is. See ``guided``."""
    _check(latents, motion)
    total, count = 0.0, 0.0
    for comparison in _comparisons(motion, "corrected", 1):
        moved = warp(latents[comparison.source], comparison.flow, comparison.padding)
        difference = (moved - latents[comparison.target]).abs().mean(dim=1, keepdim=True)
        total += float((difference * comparison.seen).sum())
        count += float(comparison.seen.sum())
    return total / max(count, 1.0)


def _working_copy(latents: Tensor) -> Tensor:
    """In float32 at least, on a device that can take the derivative of sampling a picture."""
    dtype = torch.promote_types(latents.dtype, torch.float32)
    return latents.detach().to(_device(latents), dtype, copy=True)


def _device(latents: Tensor) -> torch.device:
    return latents.device if latents.device.type in _ABLE else torch.device("cpu")


def _steps(amount: float) -> list[float]:
    """Equal steps of at most 1 that make up ``amount``."""
    count = max(math.ceil(amount), 1)
    return [amount / count] * count


def _majorised(z: Tensor, motion: ClipMotion, chunk: int, bend: float) -> Tensor:
    """The step to the minimum of a separable quadratic bound of the Huber error."""
    gradient, weight = _descent(z, motion, "corrected", chunk, lambda residual: residual.clamp(-bend, bend))
    # A comparison's coefficients, 1 and the bilinear ones, sum to 2: |D|^T |D| 1 = 2 |D|^T 1 bounds D^T D.
    return gradient / (2.0 * weight).clamp_min(1e-6)


def _descent(z: Tensor, motion: ClipMotion, form: GuidanceForm, chunk: int, pull: _Pull) -> tuple[Tensor, Tensor]:
    """Gradient (T,C,h,w) by z, and how much each pixel is compared, |D|^T 1 of shape (T,1,h,w)."""
    gradient, weight = torch.zeros_like(z), torch.zeros_like(z[:, :1])
    for comparison in _comparisons(motion, form, chunk):
        _add(z, comparison, pull, gradient, weight)
    return gradient, weight


def _add(z: Tensor, comparison: _Comparison, pull: _Pull, gradient: Tensor, weight: Tensor) -> None:
    seen = comparison.seen.to(z.dtype, copy=True)
    # A channel of nothing goes along: its cotangent is ``seen``, so that the adjoint counts how often a pixel is read.
    source = F.pad(z[comparison.source], (0, 0, 0, 0, 0, 1))
    with torch.enable_grad():
        source.requires_grad_()
        moved = warp(source, comparison.flow.to(z.dtype, copy=True), comparison.padding)
    residual = seen * (moved.detach()[:, :-1] - z[comparison.target])
    pulled = seen * pull(residual)
    (adjoint,) = torch.autograd.grad(moved, source, torch.cat([pulled, seen], dim=1))
    gradient[comparison.target] -= pulled
    gradient[comparison.source] += adjoint[:, :-1]
    weight[comparison.target] += seen
    weight[comparison.source] += adjoint[:, -1:]


def _comparisons(motion: ClipMotion, form: GuidanceForm, chunk: int) -> Iterator[_Comparison]:
    pairs = motion.length - 1
    for start in range(0, pairs, chunk):
        stop = min(start + chunk, pairs)
        earlier, later = slice(start, stop), slice(start + 1, stop + 1)
        forward, backward = motion.forward_flow[earlier], motion.backward_flow[earlier]
        padding = "border"
        if form == "reference":
            padding = "zeros"
            outside = torch.full_like(motion.forward_flow[:1], 4.0 * max(motion.size))
            # A flow that leads out of the frame reads zeros, which the published passes begin with.
            forward = torch.cat([motion.forward_flow[start + 1 : stop + 1], outside])[: stop - start]
            backward = torch.cat([outside, motion.backward_flow[:-1]])[earlier]
        yield _Comparison(earlier, later, forward, 1.0 - motion.forward_occluded[earlier], padding)
        yield _Comparison(later, earlier, backward, 1.0 - motion.backward_occluded[earlier], padding)


def _fine(z: Tensor) -> Tensor:
    """What a frame has beyond its mean over a small box: (n,C,h,w) -> (n,C,h,w)."""
    return z - F.avg_pool2d(z, _FINE, stride=1, padding=_FINE // 2, count_include_pad=False)


def _fine_deviation(z: Tensor, chunk: int) -> Tensor:
    """Deviation of the fine part per channel over the clip, (C,)."""
    squares = sum(_fine(part).square().sum(dim=(0, 2, 3)) for part in z.split(chunk))
    assert isinstance(squares, Tensor)
    return (squares / (z.numel() / z.shape[1])).sqrt()


def _restore_detail(z: Tensor, deviation: Tensor, chunk: int) -> None:
    """Make up for what the fine part of ``z`` has lost of this deviation, in place."""
    gain = (deviation / _fine_deviation(z, chunk).clamp_min(1e-6)).pow(DETAIL_POWER).clamp(1.0, DETAIL_GAIN)
    for part in z.split(chunk):
        part += (gain - 1.0).view(1, -1, 1, 1) * _fine(part)


def _check(latents: Tensor, motion: ClipMotion) -> None:
    if latents.ndim != 4 or latents.shape[0] != motion.length or latents.shape[-2:] != motion.size:
        raise ShapeError(
            f"Expected latents (T,C,h,w) of the motion's {motion.length} frames of size {motion.size}, got "
            f"{tuple(latents.shape)}; put frames in the batch and ask the motion for the latents' size."
        )
