"""STAR's networks from the files that are published."""

from pathlib import Path

from torch import nn

from ....models.building import fitting, without_memory
from ....models.registry import STAR, read_state_dict, some_keys
from ...errors import UnknownCheckpointError
from ...text.open_clip_h import load_open_clip_h
from ..named import load_named
from .vae import SvdVae, SvdVaeConfig

_DECODER = "decoder.time_conv_out.weight"


def load_star_parts(denoiser: Path, vae: Path, text: Path) -> dict[str, nn.Module]:
    """The networks of a ``StarRestorer``: "denoiser", "vae" and "text", on the CPU, in eval mode.

    Memory: tensors stay in the files until they are used, which must not change meanwhile; those that a file does not
    hold in single precision are copied.

    Args:
        denoiser: ``light_deg.pt`` or ``heavy_deg.pt``, or a safetensors file of the same keys.
        vae: Stable Video Diffusion's autoencoder as diffusers publishes it.
        text: OpenCLIP ViT-H-14's text tower, see ``load_open_clip_h``.

    Raises:
        WeightsNotFoundError: a file is not there.
        DamagedWeightsError: a file is truncated or holds code.
        UnknownCheckpointError: a file is another one, or something is missing in it, which is named.
    """
    network = load_named(denoiser, read_state_dict(denoiser, mapped=True), STAR)
    return {"denoiser": network, "vae": load_svd_vae(vae), "text": load_open_clip_h(text)}


def load_svd_vae(path: Path) -> SvdVae:
    """Stable Video Diffusion's autoencoder, of the size that its weights have.

    Returns:
        The network on the CPU, float32, in eval mode, without gradients.

    Raises:
        WeightsError: as ``load_star_parts``.
    """
    state = read_state_dict(path, mapped=True)
    if _DECODER not in state:
        raise UnknownCheckpointError(
            f"Expected Stable Video Diffusion's autoencoder, got {path} with keys such as {some_keys(state)}; choose "
            "the file in the folder vae of stable-video-diffusion-img2vid."
        )
    advice = "it may be from another version or cut short: download it again"
    with fitting(f"a whole autoencoder of Stable Video Diffusion in {path}", advice):
        with without_memory(len(state)):
            network = SvdVae(SvdVaeConfig.from_state(state))
        network.load_state_dict({key: value.float() for key, value in state.items()}, strict=True, assign=True)
    return network.eval().requires_grad_(False)
