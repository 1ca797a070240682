"""Training losses: TextOVSR's (its ``specs``, section 4), those that MGLD-VSR adds for its video autoencoder, STAR's.

Clips are (B,T,3,H,W) in [0,1]; every loss is a mean.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..core.errors import ShapeError
from ..core.motion.clip_motion import ClipMotion
from ..models.warp import warp

STRUCTURE = 3.0
"""How much more a pixel counts for each unit of the truth's gradient in ``structure_weighted_warp_loss``."""

LAST_STEP = 999
"""The noisiest of STAR's diffusion steps."""

_FREQUENCY_WEIGHT = 0.01
_FREQUENCY_SHARE = 0.8  # of the coefficients, the weaker ones
_FREQUENCY_SHARPNESS = 10.0

_UNSHARP_KERNEL = 51
_UNSHARP_THRESHOLD = 10 / 255


def charbonnier(x: Tensor, y: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Mean of sqrt((x-y)^2 + epsilon^2): L1 with a smooth centre."""
    return torch.sqrt((x - y) ** 2 + epsilon**2).mean()


def cleaning_loss(cleaned: Tensor, hr: Tensor) -> Tensor:
    """L1 between the cleaned LR frames (B,T,3,H,W) and the area-reduced ground truth (B,T,3,4H,4W)."""
    target = F.interpolate(hr.flatten(0, 1), size=cleaned.shape[-2:], mode="area")
    return (cleaned.flatten(0, 1) - target).abs().mean()


def edge_loss(x: Tensor, y: Tensor, scales: int = 3) -> Tensor:
    """L1 between the differences of neighbouring pixels, across and down, at full, half and quarter size.

    It sees edges and texture at every scale and no colour, and needs no trained backbone.
    """
    x, y = x.flatten(0, 1), y.flatten(0, 1)
    total = x.new_zeros(())
    for scale in range(scales):
        if scale:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        for dim in (-1, -2):
            total = total + (x.diff(dim=dim) - y.diff(dim=dim)).abs().mean()
    return total / scales


def temporal_loss(x: Tensor, y: Tensor) -> Tensor:
    """L1 between the changes from frame to frame, MGLD-VSR's frame difference loss; 0 for a single frame.

    No gradient reaches the truth ``y``.
    """
    if x.shape[1] < 2:
        return x.new_zeros(())
    return (x.diff(dim=1) - y.detach().diff(dim=1)).abs().mean()


def structure_weighted_warp_loss(
    x: Tensor, y: Tensor, motions: Sequence[ClipMotion], structure: float = STRUCTURE
) -> Tensor:
    """L1 between neighbouring frames of the result, one moved onto the other; edges of the truth count more.

    W (1 - occluded) |x[i] - warp(x[j], flow(i -> j))| with W = 1 + ``structure`` |Sobel(2y - 1)|, for j = i+1 and for
    j = i-1; the two means over all pixels, occluded ones among them as 0, are added (MGLD-VSR, ECCV 2024;
    ``specs/mgld.md`` section 3). W is of each colour and on frame i's grid; Sobel's is the gradient a pixel, and is
    taken in the paper's [-1,1]. The authors' code warps frame i by the flow on its own grid, and takes the result for
    the truth and the truth for the result; this follows the equation. Gradient reaches ``x`` alone.

    Args:
        x: the result, (B,T,3,H,W) in [0,1].
        y: the truth, the same shape.
        motions: of each of the B truths, T frames of HxW pixels; see ``flow.find_clip_motion``.
        structure: 0 counts every pixel alike.

    Returns:
        At least 0, in units of [0,1]: half of what the paper's frames give; 0 for single frames.

    Raises:
        ShapeError: the truth or a motion does not fit the result.
    """
    _check_fit(x, y, motions)
    if x.shape[1] < 2:
        return x.new_zeros(())
    weights = 1 + structure * _edges(2 * y.detach() - 1)
    losses = [
        _gap(clip[:-1], clip[1:], motion.forward_flow, weight[:-1] * (1 - motion.forward_occluded))
        + _gap(clip[1:], clip[:-1], motion.backward_flow, weight[1:] * (1 - motion.backward_occluded))
        for clip, weight, motion in zip(x, weights, motions, strict=True)
    ]
    return torch.stack(losses).mean()


def dynamic_frequency_loss(x: Tensor, y: Tensor, t: Tensor, masks: Literal["truth", "own"] = "truth") -> Tensor:
    """STAR's: L1 between the spectra of the frames, its two halves weighted by the diffusion step.

    F = rfft2(2x - 1) of each frame and colour, not normalised. "Low" are the coefficients of magnitude below the clip's
    0.8-quantile, m = sigmoid(10 (cut - |F|)), "high" the others, 1 - m; so the paper's names say which half is meant,
    not how fast it oscillates: strong coefficients are mostly the slow ones. L_low = mean |m F(x) - m F(y)| over real
    and imaginary parts; the clip's loss is a L_low + b L_high with (a, b) = ``frequency_weights(t)`` (STAR, ICCV 2025;
    ``specs/star.md`` section 2). To be added to the mean squared error of the predicted v.

    The masks and their cut pass no gradient on: which half a coefficient belongs to is looked up, not learnt (near the
    cut the sigmoid is so steep that its gradient would drown the loss's own). The authors' trainers decode without
    gradient, so that there the loss changes nothing; here gradient reaches ``x``, and ``x`` alone.

    Args:
        x: the decoded prediction of the clean clip, (B,T,3,H,W) in [0,1].
        y: the truth, the same shape.
        t: the diffusion step of each clip, (B,) in [0, 999].
        masks: "truth": the truth's masks for both, so that the gradient always leads to the truth; "own": each its own,
            the authors' value (they look for the cut of a large clip among 10000 random coefficients; this takes all).

    Raises:
        ShapeError: the truth or ``t`` does not fit the result.
    """
    _check_clips(x, y)
    if t.shape != x.shape[:1]:
        raise ShapeError(f"Expected the step of each of {len(x)} clips, ({len(x)},), got {(*t.shape,)}.")
    losses = []
    for clip, truth in zip(x, y.detach(), strict=True):
        made, true = _spectrum(clip), _spectrum(truth)
        low_true = _weak(true)
        low_made = low_true if masks == "truth" else _weak(made)
        low = _spectral_gap(low_made * made, low_true * true)
        high = _spectral_gap((1 - low_made) * made, (1 - low_true) * true)
        losses.append(torch.stack((low, high)))
    return (torch.stack(losses) * torch.stack(frequency_weights(t), dim=1)).sum(dim=1).mean()


def frequency_weights(t: Tensor) -> tuple[Tensor, Tensor]:
    """The weights of "low" and "high" in ``dynamic_frequency_loss``: 0.01 (1-u) u^2 and 0.01 (1-u) (1-u^2), u = t/999.

    Both are nothing at the noisiest step, where a prediction tells little of the clip; at the cleanest "high" has all.
    """
    u = t / LAST_STEP
    whole = _FREQUENCY_WEIGHT * (1 - u)
    return whole * u**2, whole * (1 - u**2)


def sharpened(hr: Tensor, strength: float) -> Tensor:
    """Unsharp masking where the detail is above 10 of 255: Gaussian of 51 pixels, the mask itself softened.

    Args:
        hr: (B,T,3,H,W), the sides at least 26.
        strength: 0 leaves everything as it is.
    """
    if not strength:
        return hr
    frames = hr.flatten(0, 1)
    detail = frames - _gaussian(frames)
    soft = _gaussian((detail.abs() > _UNSHARP_THRESHOLD).to(frames))
    sharp = (frames + strength * detail).clamp(0, 1)
    return torch.lerp(frames, sharp, soft).unflatten(0, hr.shape[:2])


def adversarial_loss(logits: Tensor, real: bool) -> Tensor:
    """Vanilla GAN: cross-entropy of the verdicts against "real" or "made"."""
    target = torch.ones_like(logits) if real else torch.zeros_like(logits)
    return F.binary_cross_entropy_with_logits(logits, target)


def matching_loss(made: list[Tensor], true: list[Tensor]) -> Tensor:
    """L1 between the discriminator's features of the result and of the truth, each level by its own size."""
    levels = [(x - y.detach()).abs().mean() / (y.detach().abs().mean() + 1e-6) for x, y in zip(made, true, strict=True)]
    return torch.stack(levels).mean()


def _check_clips(x: Tensor, y: Tensor) -> None:
    if x.ndim != 5 or x.shape != y.shape:
        raise ShapeError(f"Expected result and truth of one shape (B,T,3,H,W), got {(*x.shape,)} and {(*y.shape,)}.")


def _check_fit(x: Tensor, y: Tensor, motions: Sequence[ClipMotion]) -> None:
    _check_clips(x, y)
    wanted = [(x.shape[1], (*x.shape[-2:],))] * len(x)
    found = [(motion.length, motion.size) for motion in motions]
    if found != wanted:
        raise ShapeError(
            f"Expected motions of {wanted}, one (frames, size) a clip, got {found}; find them on the truth's own grid."
        )


@torch.no_grad()
def _edges(clips: Tensor) -> Tensor:
    """The length of the gradient at every pixel of each colour, a pixel, (B,T,C,H,W)."""
    from kornia.filters import spatial_gradient  # takes seconds to load

    return torch.linalg.vector_norm(spatial_gradient(clips.flatten(0, 1)), dim=2).unflatten(0, clips.shape[:2])


def _gap(frames: Tensor, others: Tensor, flow: Tensor, weight: Tensor) -> Tensor:
    return (weight.detach() * (frames - warp(others, flow.detach()))).abs().mean()


def _spectrum(clip: Tensor) -> Tensor:
    """(T,3,H,W) -> (T,3,H,W/2+1) complex: half precision has no transform of every size."""
    return torch.fft.rfft2(2 * clip.to(torch.promote_types(clip.dtype, torch.float32)) - 1)


@torch.no_grad()
def _weak(spectrum: Tensor) -> Tensor:
    """1 for coefficients below the cut, 0 for those above, soft in between."""
    size = spectrum.abs()
    place = _FREQUENCY_SHARE * (size.numel() - 1)
    below = size.flatten().kthvalue(int(place) + 1).values
    above = size.flatten().kthvalue(min(int(place) + 2, size.numel())).values
    return torch.sigmoid(_FREQUENCY_SHARPNESS * (torch.lerp(below, above, place - int(place)) - size))


def _spectral_gap(made: Tensor, true: Tensor) -> Tensor:
    return torch.view_as_real(made - true).abs().mean()


def _gaussian(x: Tensor) -> Tensor:
    """Blur (N,C,H,W) as wide as OpenCV does with a kernel of 51 whose sigma is left to it: 8 pixels."""
    half = _UNSHARP_KERNEL // 2
    sigma = 0.3 * (half - 1) + 0.8
    line = torch.exp(-0.5 * (torch.arange(-half, half + 1, device=x.device, dtype=x.dtype) / sigma) ** 2)
    line = (line / line.sum()).expand(x.shape[1], 1, 1, -1)
    x = F.conv2d(F.pad(x, (half, half, 0, 0), mode="reflect"), line, groups=x.shape[1])
    return F.conv2d(F.pad(x, (0, 0, half, half), mode="reflect"), line.transpose(-1, -2), groups=x.shape[1])
