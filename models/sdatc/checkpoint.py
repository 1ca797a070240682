"""The files that SDATC's training leaves: of each stage the tensors that it trained, and nothing of Stable Diffusion.

``sdatc-stage1.safetensors`` holds ``dcm.*`` and the denoiser's ``denoiser.control.*`` and ``denoiser.capm.*``;
``sdatc-stage2.safetensors`` the autoencoder's ``vae.stam.*``, ``vae.capm.*`` and ``vae.cfw.*``. The header says the
sizes (``config``, JSON of ``SdatcNetConfig.as_dict``) and how many steps were trained (``steps``).
"""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from torch import Tensor

from ...core.errors import SettingError, UnknownCheckpointError
from ..building import fitting, why, without_memory
from ..registry import DCM, load_network, save_weights
from .config import SdatcNetConfig
from .dcm import Dcm
from .denoiser import SdatcDenoiser
from .vae import Autoencoder, SdatcVae
from .walk import Unet

STAGE_FILES = ("sdatc-stage1.safetensors", "sdatc-stage2.safetensors")
"""Under which names training leaves them."""

STAGE_KEYS = (("denoiser.control.zero_middle.weight", "dcm.conv_first.weight"), ("vae.stam.0.alpha1",))
"""What a file of each stage holds, and no other."""

_DCM, _DENOISER, _VAE = "dcm.", "denoiser.", "vae."


def stage1_tensors(dcm: Dcm, denoiser: SdatcDenoiser) -> dict[str, Tensor]:
    """What the first stage trains, by the keys of its file."""
    return _prefixed(_DCM, dcm.state_dict()) | _prefixed(_DENOISER, denoiser.trained())


def stage2_tensors(vae: SdatcVae) -> dict[str, Tensor]:
    """What the second stage trains, by the keys of its file."""
    return _prefixed(_VAE, vae.trained())


def save_stage(
    tensors: Mapping[str, Tensor], config: SdatcNetConfig, steps: int, path: Path, card: Mapping[str, str] | None = None
) -> None:
    """Save a stage as half precision safetensors.

    Args:
        tensors: of ``stage1_tensors`` or ``stage2_tensors``.
        config: sizes of the networks they are of.
        steps: that were trained; 0 marks weights that nothing may be restored with.
        path: of the file.
        card: what else is to be said in the header.
    """
    header = {"config": json.dumps(config.as_dict()), "steps": str(steps)}
    save_weights({key: value.detach().cpu() for key, value in tensors.items()}, path, {**(card or {}), **header})


def find_stage(keys: Mapping[str, Any]) -> int:
    """1 or 2, the stage whose file has such keys; 0 if it is none's."""
    return next((stage for stage, telling in enumerate(STAGE_KEYS, 1) if all(key in keys for key in telling)), 0)


def read_header(header: Mapping[str, str], name: str) -> tuple[SdatcNetConfig, int]:
    """Sizes and trained steps from the header of the file ``name``.

    Raises:
        UnknownCheckpointError: it does not say them.
    """
    try:
        return SdatcNetConfig.from_dict(json.loads(header["config"])), int(header["steps"])
    except (KeyError, ValueError, AttributeError, RecursionError, SettingError) as error:
        raise UnknownCheckpointError(
            f"Expected sizes and trained steps in the header of {name}, which it does not say: {why(error)}; "
            "use the file as `textovsr train sdatc` left it."
        ) from error


def build_stage1(
    state_dict: Mapping[str, Tensor], config: SdatcNetConfig, unet: Unet, name: str = "the state_dict"
) -> tuple[Dcm, SdatcDenoiser]:
    """The networks of the first stage, with the tensors of its file.

    Args:
        state_dict: of the file.
        config: its sizes.
        unet: Stable Diffusion's, which the denoiser takes over.
        name: of the file, for messages.

    Returns:
        Both in eval mode, float32, on the CPU, without gradients.

    Raises:
        UnknownCheckpointError: tensors are missing or left over, or of another size.
    """
    from diffusers import UNet2DConditionModel

    with _fitting(name, "first"):
        dcm = _build_dcm(_part(state_dict, _DCM), name)
        with without_memory(len(state_dict) + len(unet.state_dict())):
            denoiser = SdatcDenoiser(UNet2DConditionModel.from_config(unet.config), config)
        denoiser.unet = unet
        _fill(denoiser, _part(state_dict, _DENOISER))
    return dcm, denoiser.eval().requires_grad_(False)


def build_stage2(
    state_dict: Mapping[str, Tensor], config: SdatcNetConfig, vae: Autoencoder, name: str = "the state_dict"
) -> SdatcVae:
    """The network of the second stage, with the tensors of its file; see ``build_stage1``."""
    from diffusers import AutoencoderKL

    with _fitting(name, "second"):
        with without_memory(len(state_dict) + len(vae.state_dict())):
            network = SdatcVae(AutoencoderKL.from_config(vae.config), config)
        network.vae = vae
        _fill(network, _part(state_dict, _VAE))
    return network.eval().requires_grad_(False)


def _build_dcm(tensors: Mapping[str, Tensor], name: str) -> Dcm:
    """The module of the first stage, which gets no memory before all its sizes fit the file."""
    try:
        network = load_network(tensors, [DCM])
    except UnknownCheckpointError as error:
        raise UnknownCheckpointError(str(error).replace("the state_dict", name)) from error
    assert isinstance(network, Dcm)
    return network


def _fill(network: SdatcDenoiser | SdatcVae, tensors: dict[str, Tensor]) -> None:
    """Take exactly the tensors of what is trained; the network is on the meta device but for what is not."""
    if tensors.keys() != (own := network.trained()).keys():
        different = sorted(tensors.keys() ^ own.keys())
        raise KeyError(f"{different[0]} and {len(different) - 1} more are missing or left over")
    network.load_state_dict({key: value.float() for key, value in tensors.items()}, strict=False, assign=True)


def _part(state_dict: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in tensors.items()}


def _fitting(name: str, stage: str) -> AbstractContextManager[None]:
    return fitting(
        f"a whole {stage} stage of SDATC, and one that goes with this Stable Diffusion, in {name}",
        "use the files as `textovsr train sdatc` left them, with Stable Diffusion 2.1 base",
    )
