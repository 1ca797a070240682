"""MGLD-VSR's networks from the files that are published."""

import logging
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from ....models.mgld import checkpoint as mgld
from ....models.registry import MGLD, MGLD_VAES, RAFTS, read_state_dict
from ...errors import UnknownCheckpointError
from ...motion.networks import load_flow_net, load_spynet
from ...text.open_clip_h import load_open_clip_h
from ..named import load_named

log = logging.getLogger(__name__)


def load_mgld_parts(
    denoiser: Path, vae: Path | None = None, text: Path | None = None, flow: Path | None = None
) -> dict[str, nn.Module]:
    """The networks of a ``MgldRestorer``: "denoiser", "vae", "text" and "flow", on the CPU, in eval mode.

    Memory: tensors stay in the files until they are used, which must not change meanwhile; those that a file does not
    hold in single precision are copied.

    Args:
        denoiser: ``mgldvsr_unet.ckpt``, or a safetensors file of the same keys.
        vae: ``video_vae_cfw.ckpt``, or Stable Diffusion's autoencoder; None takes the one in ``denoiser``, which knows
            nothing of neighbouring frames and of the low resolution.
        text: OpenCLIP ViT-H-14's text tower, see ``load_open_clip_h``; None takes the one in ``denoiser``.
        flow: see ``load_flow_net``; None takes the one in ``denoiser``, or if it has none the shipped one.

    Raises:
        WeightsNotFoundError: a file is not there.
        DamagedWeightsError: a file is truncated or holds code.
        UnknownCheckpointError: a file is another one, or something is missing in it, which is named.
    """
    state = read_state_dict(denoiser, mapped=True)
    return {
        "denoiser": load_named(denoiser, mgld.part(state, mgld.UNET, mgld.STRUCTURE) or state, MGLD),
        "vae": _load_vae(denoiser, state, vae),
        "text": load_open_clip_h(text or _held(denoiser, state, mgld.TEXT, "text encoder")),
        "flow": _load_flow(denoiser, state, flow),
    }


def _load_vae(path: Path, state: Mapping[str, Tensor], vae: Path | None) -> nn.Module:
    if vae is None:
        return load_named(path, _held(path, state, mgld.PLAIN_VAE, "autoencoder"), *MGLD_VAES)
    found = read_state_dict(vae, mapped=True)
    kept = {**mgld.vae_keys(found), **mgld.part(found, mgld.PLAIN_VAE)}
    if left := sorted({key.split(".")[0] for key in found.keys() - kept.keys()}):
        log.info("%s also holds %s, which only training needs: left out.", vae.name, ", ".join(left))
    return load_named(vae, kept, *MGLD_VAES)


def _load_flow(path: Path, state: Mapping[str, Tensor], flow: Path | None) -> nn.Module:
    if flow is not None:
        return load_flow_net(flow)
    held = mgld.part(state, mgld.FLOW)
    return load_named(path, held, *RAFTS) if held else load_spynet()


def _held(path: Path, state: Mapping[str, Tensor], prefix: str, what: str) -> dict[str, Tensor]:
    held = mgld.part(state, prefix)
    if not held:
        raise UnknownCheckpointError(
            f"Expected its {what} ({prefix}*) in {path.name} too, found none; choose another file for it."
        )
    return held
