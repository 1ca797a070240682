"""The network's passes in training: what ``TextOVSR.upscale`` and ``negative`` compute, for a whole batch at once.

Nothing here makes the GPU wait for the CPU: one cleaning pass (there is no threshold to test), no search for equal
prompts or mirrored clips, and all frames are reconstructed together. Flow is found in fp32 whatever the precision.
"""

import torch
from torch import Tensor

from ..models.text_ovsr import TextOVSR, propagate
from .data import Texts


def embed(net: TextOVSR, texts: Texts, frames: int) -> Tensor:
    """Tokens of different prompts -> one embedded prompt a frame, (B*frames,77,C)."""
    core = net.basicvsr
    embedded = core.text_proj(core.text_encoder(texts.ids, texts.mask))
    return embedded[texts.rows].repeat_interleave(frames, dim=0)


def pooled(net: TextOVSR, texts: Texts, frames: int) -> Tensor:
    """CLIP's pooled text, the features of the end token, one a frame: (B*frames,width); nothing is learned from it."""
    with torch.no_grad():
        features = net.basicvsr.text_encoder(texts.ids, texts.mask)
        ends = texts.mask.sum(1) - 1  # the mask goes up to and includes the first end token
        found = features[torch.arange(features.shape[0], device=features.device), ends]
    return found[texts.rows].repeat_interleave(frames, dim=0)


def clean(net: TextOVSR, lr: Tensor) -> Tensor:
    """One pass of the image cleaning, (B,T,3,H,W) -> the same."""
    frames = lr.flatten(0, 1)
    return (frames + net.image_cleaning(frames)).unflatten(0, lr.shape[:2])


def restore(net: TextOVSR, cleaned: Tensor, text: Tensor) -> Tensor:
    """``TextOVSR.upscale``: (B,T,3,H,W) and (B*T,77,C) -> (B,T,3,4H,4W)."""
    core = net.basicvsr
    features = net.extract(cleaned.flatten(0, 1), text).unflatten(0, cleaned.shape[:2])
    forward_flow, backward_flow = flows(net, cleaned)
    bw: list[Tensor] = []
    fw: list[Tensor] = []
    for i in range(cleaned.shape[1]):
        j = cleaned.shape[1] - 1 - i
        back, forth = (bw[-1], fw[-1]) if i else (None, None)
        bw.append(
            propagate(core.backward_resblocks_layer10_po, features[:, j], back, backward_flow[:, j] if i else None)
        )
        fw.append(
            propagate(core.forward_resblocks_layer10_po, features[:, i], forth, forward_flow[:, i - 1] if i else None)
        )
    return _reconstruct(net, bw, fw, cleaned)


def restore_negative(net: TextOVSR, spoilt: Tensor, text: Tensor) -> Tensor:
    """``TextOVSR.negative``: a spoilt clip (B,T,3,H,W), degradation texts (B*T,77,C) -> (B,T,3,4H,4W)."""
    core = net.basicvsr
    b, t = spoilt.shape[:2]
    words = text.unflatten(0, (b, t))
    forward_flow, backward_flow = flows(net, spoilt)
    bw: list[Tensor] = []
    fw: list[Tensor] = []
    for i in range(t):
        j = t - 1 - i
        back, forth = (bw[-1], fw[-1]) if i else (None, None)
        state = propagate(core.backward_resblocks_layer10, spoilt[:, j], back, backward_flow[:, j] if i else None)
        bw.append(state + core.backward_cross_attn(state, words[:, j]))
        state = propagate(core.forward_resblocks_layer10, spoilt[:, i], forth, forward_flow[:, i - 1] if i else None)
        fw.append(state + core.forward_cross_attn(state, words[:, i]))
    return _reconstruct(net, bw, fw, spoilt)


def flows(net: TextOVSR, frames: Tensor) -> tuple[Tensor, Tensor]:
    """(B,T,3,H,W) -> forward and backward flow, (B,T-1,2,H,W) each, in fp32."""
    b, t = frames.shape[:2]
    if t == 1:
        none = frames.new_zeros(b, 0, 2, *frames.shape[-2:])
        return none, none
    with torch.autocast(frames.device.type, enabled=False):
        earlier, later = frames[:, :-1].flatten(0, 1).float(), frames[:, 1:].flatten(0, 1).float()
        forward, backward = net.flow(later, earlier), net.flow(earlier, later)
    return forward.unflatten(0, (b, t - 1)), backward.unflatten(0, (b, t - 1))


def _reconstruct(net: TextOVSR, bw: list[Tensor], fw: list[Tensor], frames: Tensor) -> Tensor:
    backward, forward = torch.stack(bw[::-1], dim=1).flatten(0, 1), torch.stack(fw, dim=1).flatten(0, 1)
    return net.reconstruct(backward, forward, frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
