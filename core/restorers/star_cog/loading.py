"""The networks of STAR's CogVideoX version from the files that are published."""

from pathlib import Path

import torch
from torch import Tensor, nn

from ....models.building import fitting, without_memory
from ....models.registry import read_state_dict, some_keys
from ....models.star_cog.checkpoint import transformer_keys
from ....models.star_cog.config import read_config
from ...errors import MissingDependencyError, UnknownCheckpointError, WeightsNotFoundError
from ...text.t5 import load_t5

_VAE_FILES = ("diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors")
_ADVICE = "choose another file, or download it again"
_VAE_KEY = "encoder.down_blocks.0.resnets.0.conv2.conv.weight"


def load_star_cog_parts(
    denoiser: Path, vae: Path, text: Path, tokenizer: Path, dtype: torch.dtype = torch.bfloat16
) -> dict[str, nn.Module]:
    """The networks of a ``StarCogRestorer``: "denoiser", "vae" and "text", on the CPU, in eval mode.

    Memory: tensors that a file holds in ``dtype`` stay there until they are used, and it must not change meanwhile; of
    the others one at a time is held twice.

    Args:
        denoiser: STAR's ``.pt``, or a safetensors file of the same keys or of diffusers', see ``checkpoint``.
        vae: the autoencoder of CogVideoX-5B in diffusers' names: the file, or the folder of it.
        text: T5's encoder, see ``text.t5.load_t5``.
        tokenizer: its vocabulary, see there.
        dtype: what the tensors are kept in, as CogVideoX-5B was published.

    Raises:
        WeightsNotFoundError: a file is not there.
        DamagedWeightsError: a file is truncated or holds code.
        UnknownCheckpointError: a file is another one, or something is missing in it, which is named.
        MissingDependencyError: diffusers is not installed.
    """
    return {
        "denoiser": load_transformer(denoiser, dtype),
        "vae": load_vae(vae, dtype),
        "text": load_t5(text, tokenizer, dtype),
    }


def load_transformer(path: Path, dtype: torch.dtype = torch.bfloat16) -> nn.Module:
    """STAR's transformer; see ``load_star_cog_parts``."""
    try:
        from ....models.star_cog.transformer import StarCogTransformer
    except ImportError as error:
        raise _missing(error) from error
    with fitting(f"all of the transformer of STAR's CogVideoX version in {path}", _ADVICE):
        weights = transformer_keys(read_state_dict(path, mapped=True), dtype)
        with without_memory(len(weights)):
            network = StarCogTransformer(read_config(weights))
        return _filled(network, weights)


def load_vae(path: Path, dtype: torch.dtype = torch.bfloat16) -> nn.Module:
    """CogVideoX's autoencoder; see ``load_star_cog_parts``."""
    try:
        from ....models.star_cog.vae import build_vae
    except ImportError as error:
        raise _missing(error) from error
    weights = read_state_dict(_vae_file(path), mapped=True)
    if _VAE_KEY not in weights:
        raise UnknownCheckpointError(
            f"Expected CogVideoX's autoencoder in diffusers' names, with the key {_VAE_KEY}, got {path} with keys such "
            f"as {some_keys(weights)}; choose vae/diffusion_pytorch_model.safetensors of CogVideoX-5B."
        )
    with fitting(f"all of the autoencoder in {path}", _ADVICE):
        return _filled(build_vae(weights), {key: value.to(dtype) for key, value in weights.items()})


def _filled(network: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    network.load_state_dict(weights, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def _vae_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in _VAE_FILES:
        if (path / name).is_file():
            return path / name
    raise WeightsNotFoundError(
        f"Expected {' or '.join(_VAE_FILES)} in {path}, found neither; correct the path or download it."
    )


def _missing(error: ImportError) -> MissingDependencyError:
    return MissingDependencyError(
        f"Expected the package diffusers, 0.32 or newer, with CogVideoX, got: {error}; install it with "
        "'pip install -U diffusers'."
    )
