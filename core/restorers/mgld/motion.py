"""The motion that guides MGLD-VSR, on the grid of the latents."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....models.raft import RAFT
from ...motion.clip_motion import ClipMotion
from ...motion.config import MotionConfig
from ...motion.flow import Flow, find_clip_motion
from ...tiles import Check
from ..precision import in_single_precision
from .canvas import LATENT

_ITERATIONS = 10
_FINER = 2


def clip_motion(network: nn.Module, frames: Tensor, device: torch.device, published: bool, check: Check) -> ClipMotion:
    """The motion of a clip at its latents' size.

    Args:
        network: a ``motion.flow.FlowNet``, on its device; of one in half precision, which does not tell places in a
            picture apart, a copy in single precision works.
        frames: (T,3,8h,8w) in [-1,1], CPU.
        device: where the network is.
        published: a RAFT gets pictures of twice the latents' size, made without averaging, in [0,1], for 10 updates,
            as in the published code; else it gets them as it was trained.
        check: called between pieces of work; raises to cancel.
    """
    network = in_single_precision(network)
    height, width = frames.shape[-2] // LATENT, frames.shape[-1] // LATENT
    images, config = frames / 2 + 0.5, MotionConfig(finer=_FINER)
    if not published:
        return find_clip_motion(images, (height, width), Flow(network, device), config, check)
    size = _FINER * height, _FINER * width
    small = F.interpolate(images, size=size, mode="bicubic", antialias=False)

    def as_published(reference: Tensor, support: Tensor) -> Tensor:
        if isinstance(network, RAFT):
            return network(reference, support, _ITERATIONS, centred=False)
        return network(reference, support)

    whole = MotionConfig(side=max(size), finer=_FINER)
    return find_clip_motion(small, (height, width), Flow(as_published, device), whole, check)
