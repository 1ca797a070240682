"""DiffVSR's networks from the files that are published."""

from pathlib import Path

from torch import nn

from ....models.registry import DIFFVSR, read_state_dict
from ...text.open_clip_h import load_open_clip_h
from ..named import load_named

_DENOISER, _VAE = DIFFVSR


def load_diffvsr_parts(denoiser: Path, vae: Path, text: Path) -> dict[str, nn.Module]:
    """The networks of a ``DiffVsrRestorer``: "denoiser", "vae" and "text", on the CPU, in eval mode.

    Memory: tensors stay in the files until they are used, which must not change meanwhile; those that a file does not
    hold in single precision are copied.

    Args:
        denoiser: ``DiffVSR_UNet.pt``, whose weights are under ``ema``, or a safetensors file of the same keys.
        vae: ``TE-3DVAE.pt``, or a safetensors file.
        text: OpenCLIP ViT-H-14's text tower, see ``load_open_clip_h``.

    Raises:
        WeightsNotFoundError: a file is not there.
        DamagedWeightsError: a file is truncated or holds code.
        UnknownCheckpointError: a file is another one, or something is missing in it, which is named.
    """
    return {
        "denoiser": load_named(denoiser, read_state_dict(denoiser, mapped=True), _DENOISER),
        "vae": load_named(vae, read_state_dict(vae, mapped=True), _VAE),
        "text": load_open_clip_h(text),
    }
