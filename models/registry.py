"""From a file of weights to a network: recognise it by its keys, build it, load it strictly."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..core.errors import DamagedWeightsError, UnknownCheckpointError, WeightsNotFoundError
from . import raft, text_ovsr
from .building import fitting, without_memory
from .diffvsr import checkpoint as diffvsr
from .diffvsr.config import ROTARY_KEYS
from .mgld import checkpoint as mgld
from .pickled import open_pickled, reason, tensors_of
from .raft_names import rename_published
from .sdatc import dcm
from .star import checkpoint as star

StateDict = dict[str, Tensor]

_SPARE_LAYERS = 1000
_SHOWN = 100  # letters of a key


@dataclass(frozen=True)
class Architecture:
    """How to recognise and build one kind of network.

    Attributes:
        name: as users know it.
        keys: a state_dict that holds all of these is of this kind.
        prefixes: what its checkpoints may put before the keys, the preferred one first.
        build: makes the empty network for a state_dict.
        ignored: endings of stray keys that carry nothing.
        rename: gives the keys, without prefix, the names that the network has for them.
    """

    name: str
    keys: tuple[str, ...]
    prefixes: tuple[str, ...]
    build: Callable[[StateDict], nn.Module]
    ignored: tuple[str, ...] = ()
    rename: Callable[[StateDict], StateDict] = dict


RAFTS = (
    Architecture(
        name="RAFT",
        keys=("feature_encoder.convnormrelu.0.weight", "update_block.motion_encoder.convcorr1.0.weight"),
        prefixes=("", "module."),
        build=lambda state_dict: raft.RAFT(raft.read_raft_config(state_dict)),
    ),
    Architecture(
        name="RAFT",
        keys=("fnet.conv1.weight", "update_block.encoder.convc1.weight"),
        prefixes=("", "module.", "flownet_model."),
        build=lambda state_dict: raft.RAFT(raft.read_raft_config(state_dict)),
        rename=rename_published,
    ),
)
"""torchvision's checkpoints, and the authors', which MGLD-VSR's holds among others."""

MGLD = Architecture(
    name="MGLD-VSR",
    keys=(f"{mgld.UNET}middle_block.1.temporal_alpha", f"{mgld.STRUCTURE}fea_tran.0.in_layers.2.weight"),
    prefixes=("",),
    build=mgld.build_denoiser,
    rename=mgld.denoiser_keys,
)
"""Denoiser and structure encoder; the other networks of the file are left out."""

MGLD_VAES = (
    Architecture(
        name="MGLD-VSR's autoencoder",
        keys=("encoder.conv_in.weight", "decoder.fusion_layer_1.encode_enc_1.conv_out.weight"),
        prefixes=("",),
        build=mgld.build_vae,
        rename=mgld.vae_keys,
    ),
    Architecture(
        name="Stable Diffusion's autoencoder",
        keys=("encoder.conv_in.weight", "decoder.up.0.block.0.conv1.weight"),
        prefixes=("", mgld.PLAIN_VAE),
        build=mgld.build_vae,
        rename=mgld.vae_keys,
    ),
)
"""The video autoencoder, and the one of pictures that serves in its place."""

DIFFVSR = (
    Architecture(
        name="DiffVSR's denoiser",
        keys=diffvsr.UNET_KEYS,
        prefixes=("", "module."),
        build=diffvsr.build_unet,
        ignored=(ROTARY_KEYS,),
    ),
    Architecture(
        name="DiffVSR's autoencoder", keys=diffvsr.VAE_KEYS, prefixes=("", "module."), build=diffvsr.build_vae
    ),
)
"""The two published files, of which the denoiser's holds its weights under ``ema``."""

STAR = Architecture(name="STAR's denoiser", keys=star.KEYS, prefixes=("", "module."), build=star.build_net)
"""``light_deg.pt`` and ``heavy_deg.pt``, of the same keys: what they were trained on is in their names only."""

DCM = Architecture(
    name="SDATC's distortion control module",
    keys=("conv_first.weight", "layers.0.residual_group.blocks.0.attn.relative_position_bias_table"),
    prefixes=("",),
    build=lambda state_dict: dcm.Dcm(dcm.read_dcm_config(state_dict)),
)
"""A restorer of its own."""

ARCHITECTURES = (
    Architecture(
        name="TextOVSR",
        keys=(
            "image_cleaning.1.weight",
            "basicvsr.backward_resblocks_layer10_po.main.0.weight",
            "basicvsr.backward_cross_attn.norm.weight",
            "basicvsr.text_proj.0.weight",
        ),
        prefixes=("generator_ema.", "generator.", ""),
        build=lambda state_dict: text_ovsr.TextOVSR(text_ovsr.read_config(state_dict)),
        ignored=("embeddings.position_ids",),
    ),
    MGLD,  # before RAFT, which its file holds too
    MGLD_VAES[0],
    *DIFFVSR,
    STAR,
    DCM,
    *RAFTS,
)


def load_network(source: Path | str | Mapping[str, Tensor], among: Sequence[Architecture] = ARCHITECTURES) -> nn.Module:
    """Build the network a checkpoint belongs to and load it, every key accounted for.

    Args:
        source: a .safetensors, .pth, .pt or .ckpt file (the latter read with ``weights_only``), or a state_dict.
        among: what it may be.

    Returns:
        The network on the CPU, fp32, in eval mode, without gradients.

    Raises:
        WeightsNotFoundError: there is no such file.
        DamagedWeightsError: the file is truncated or no checkpoint.
        UnknownCheckpointError: no architecture has these keys, or one has but some are missing or left over.
    """
    name = "the state_dict" if isinstance(source, Mapping) else str(source)
    state_dict = dict(source) if isinstance(source, Mapping) else read_state_dict(Path(source))
    for architecture in among:
        for prefix in architecture.prefixes:
            if all(prefix + key in state_dict for key in architecture.keys):
                return _load(architecture, _strip(state_dict, prefix, architecture), name)
    known = ", ".join(dict.fromkeys(architecture.name for architecture in among))
    raise UnknownCheckpointError(
        f"Expected a checkpoint of {known}, got {name} with keys such as {some_keys(state_dict)}; "
        "choose another file, or update this pack if the architecture is new."
    )


def some_keys(state_dict: Mapping[str, object]) -> list[str]:
    """A few keys, for a message."""
    return [key[:_SHOWN] for key in sorted(state_dict)[:3]]


def read_state_dict(path: Path, mapped: bool = False) -> StateDict:
    """Read the tensors of a checkpoint file; see ``load_network`` for formats and errors.

    ``mapped`` leaves them in the file until they are used, if it is of a kind that allows it: it must not change then.
    """
    if not path.is_file():
        raise WeightsNotFoundError(f"Expected a weights file at {path}, found none; check the name or download it.")
    if path.suffix != ".safetensors":
        return tensors_of(open_pickled(path, mapped))
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error


def read_metadata(path: Path) -> dict[str, str]:
    """The model card in the header of a safetensors file; empty for other formats.

    Raises:
        DamagedWeightsError: the file is cut short or damaged.
    """
    if path.suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from error


def save_weights(state_dict: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Save as fp16 safetensors, written beside and renamed, so that no half file is ever seen."""
    halves = {key: value.half() if value.is_floating_point() else value for key, value in state_dict.items()}
    partial = path.with_suffix(".partial")
    save_file({key: value.contiguous() for key, value in halves.items()}, partial, dict(metadata))
    partial.replace(path)


def _damaged(path: Path, error: Exception) -> DamagedWeightsError:
    size = f" ({path.stat().st_size} bytes)" if path.is_file() else ""
    return DamagedWeightsError(
        f"Expected a whole checkpoint in {path}{size}, got an error: {reason(error)}; it may be cut short: download it "
        "again."
    )


def _check_numbers(state_dict: StateDict) -> None:
    """Layers are counted by the numbers in their keys, which no file of few tensors can have high ones of."""
    most = len(state_dict) + _SPARE_LAYERS
    for key in state_dict:
        if any(part.isdecimal() and (len(part) > len(str(most)) or int(part) > most) for part in key.split(".")):
            raise ValueError(f"the key {key[:_SHOWN]!r} counts more layers than there are tensors")


def _strip(state_dict: StateDict, prefix: str, architecture: Architecture) -> StateDict:
    chosen = {key[len(prefix) :]: value for key, value in state_dict.items() if key.startswith(prefix)}
    return {key: value for key, value in chosen.items() if not key.endswith(architecture.ignored or ("\0",))}


def _load(architecture: Architecture, state_dict: StateDict, name: str) -> nn.Module:
    floats = {key: value.float() if value.is_floating_point() else value for key, value in state_dict.items()}
    floats = architecture.rename(floats)
    advice = "it may be from another version or cut short: download it again"
    with fitting(f"a whole {architecture.name} checkpoint, got {name}", advice):
        _check_numbers(floats)
        with without_memory(len(floats)):  # a size that the other tensors do not bear out must cost none
            architecture.build(floats).load_state_dict(floats, strict=True, assign=True)
        network = architecture.build(floats)
        # A network built on the meta device has no memory to copy into: it takes the tensors themselves.
        network.load_state_dict(floats, strict=True, assign=any(x.is_meta for x in network.parameters()))
    return network.eval().requires_grad_(False)
