"""OpenCLIP ViT-H-14's text tower from any of the files that users have, and prompts to what diffusion networks read."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...models.building import fitting, without_memory
from ...models.open_clip_text import OpenClipConfig, OpenClipText
from ...models.registry import StateDict, read_state_dict, some_keys
from ..errors import UnknownCheckpointError, WeightsNotFoundError
from .encode import tokenize

PAD = 0
"""Token that follows a prompt's end."""

PLACES = (
    "model.safetensors",
    "model.fp16.safetensors",
    "pytorch_model.bin",
    "text_encoder/model.safetensors",
    "text_encoder/model.fp16.safetensors",
    "text_encoder/pytorch_model.bin",
)
"""Where a folder as Hugging Face publishes it holds the tower, the preferred one first."""

_TOKENS = "token_embedding.weight"
_OTHERS = "embeddings."  # before ``_TOKENS`` in transformers' names
_DIGITS = 4  # of a layer's number, at most
_HEAD_WIDTH = 64
_IGNORED = ("visual.", "text_projection", "logit_scale", "logit_bias", "attn_mask", "embeddings.position_ids")
_NAMES = {
    "embeddings.token_embedding.": "token_embedding.",
    "embeddings.position_embedding.weight": "positional_embedding",
    "encoder.layers.": "transformer.resblocks.",
    "final_layer_norm.": "ln_final.",
    ".layer_norm1.": ".ln_1.",
    ".layer_norm2.": ".ln_2.",
    ".mlp.fc1.": ".mlp.c_fc.",
    ".mlp.fc2.": ".mlp.c_proj.",
    ".self_attn.": ".attn.",
}
"""From transformers' names to open_clip's; queries, keys and values are put together besides."""


def load_open_clip_h(source: Path | Mapping[str, Tensor], config: OpenClipConfig | None = None) -> OpenClipText:
    """Build the tower that a file holds and load it, every key of the tower accounted for.

    Takes open_clip's names (LAION's file; a single-file checkpoint of Stable Diffusion 2; MGLD-VSR's, under
    ``cond_stage_model.model.``) and transformers' (the folder ``text_encoder`` of Stable Diffusion 2.1 and of its x4
    upscaler; ComfyUI's files of it), whatever stands before the names. Layers beyond the config's are left out, and so
    are the projection and the picture tower.

    Memory: what a file holds in single precision stays there until it is used, so the file must not change meanwhile;
    the tower once for a file of another precision.

    Args:
        source: a file, a folder as Hugging Face publishes it, or a state_dict, which may hold other networks too.
        config: the size; None reads it off the tensors: heads of 64, and 23 layers, or as many as a small one has.

    Returns:
        The tower in eval mode, float32, on the CPU, without gradients.

    Raises:
        WeightsNotFoundError: there is no such file.
        DamagedWeightsError: it is truncated or holds code.
        UnknownCheckpointError: it holds no such tower, or not all of it.
    """
    name = "the state_dict" if isinstance(source, Mapping) else str(source)
    weights = source if isinstance(source, Mapping) else read_state_dict(_file(source), mapped=True)
    with fitting(f"all of OpenCLIP's text tower in {name}", "choose another file, or download it again"):
        tower = _tower(weights, name, config)
        config = config or _read_config(tower)
        kept = {key: value.float() for key, value in tower.items() if not _beyond(key, config.layers)}
        with without_memory(len(kept)):
            network = OpenClipText(config)
        network.load_state_dict(kept, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def encode(network: OpenClipText, prompts: Sequence[str]) -> Tensor:
    """What a diffusion network of Stable Diffusion 2's kind reads of prompts.

    Args:
        network: the tower, where it shall run.
        prompts: B texts; longer than 75 tokens are cut.

    Returns:
        (B,77,width), on the network's device and in its dtype.

    Raises:
        MissingDependencyError: open_clip is not installed and a prompt is not empty.
    """
    ids, mask = tokenize(prompts)
    with torch.no_grad():
        return network(ids.masked_fill(mask == 0, PAD).to(network.positional_embedding.device))


def _prefix(shapes: Mapping[str, Sequence[int]], width: int | None) -> str | None:
    """What stands before the tower's names: the first tower of that width counts, of any if None."""
    for key, shape in shapes.items():
        if key.endswith(_TOKENS) and (width is None or tuple(shape)[1:] == (width,)):
            return key.removesuffix(_TOKENS)
    return None


def _tower(weights: Mapping[str, Tensor], name: str, config: OpenClipConfig | None) -> StateDict:
    shapes = {key: tuple(value.shape) for key, value in weights.items() if key.endswith(_TOKENS)}
    prefix = _prefix(shapes, config.width if config else OpenClipConfig.width)
    if prefix is None and config is None:
        prefix = _prefix(shapes, None)
    if prefix is None:
        raise UnknownCheckpointError(
            f"Expected OpenCLIP ViT-H-14's text tower, got {name} with keys such as {some_keys(weights)}; choose the "
            "text encoder of Stable Diffusion 2.1, of its x4 upscaler, or LAION's file."
        )
    outer = prefix.removesuffix(_OTHERS)
    chosen = {key.removeprefix(outer): value for key, value in weights.items() if key.startswith(outer)}
    chosen = {key: value for key, value in chosen.items() if not key.startswith(_IGNORED)}
    return chosen if outer == prefix else _renamed(chosen)


def _renamed(tower: StateDict) -> StateDict:
    """transformers' names to open_clip's."""
    renamed = {}
    for key, value in tower.items():
        for theirs, ours in _NAMES.items():
            key = key.replace(theirs, ours)
        renamed[key] = value
    for key in [key for key in renamed if ".attn.q_proj." in key]:
        parts = [renamed.pop(key.replace("q_proj", part), None) for part in ("q_proj", "k_proj", "v_proj")]
        found = [part for part in parts if part is not None]
        renamed[key.replace("q_proj.", "in_proj_")] = torch.cat(found)  # one that is missing shows in the size
    return renamed


def _read_config(tower: StateDict) -> OpenClipConfig:
    layers = {key.split(".")[2] for key in tower if key.startswith("transformer.resblocks.")}
    vocabulary, width = tower[_TOKENS].shape
    hidden = tower.get("transformer.resblocks.0.mlp.c_fc.bias")
    positions = tower.get("positional_embedding")
    whole = OpenClipConfig()
    return OpenClipConfig(
        vocabulary=vocabulary,
        width=width,
        layers=whole.layers if width == whole.width else min(len(layers), whole.layers),
        heads=max(1, width // _HEAD_WIDTH),
        hidden=4 * width if hidden is None else hidden.shape[0],
        tokens=whole.tokens if positions is None else positions.shape[0],
    )


def _beyond(key: str, layers: int) -> bool:
    parts = key.split(".")
    numbered = parts[:2] == ["transformer", "resblocks"] and len(parts) > 2 and parts[2].isdecimal()
    return numbered and (len(parts[2]) > _DIGITS or int(parts[2]) >= layers)


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    for place in PLACES:
        if (path / place).is_file():
            return path / place
    raise WeightsNotFoundError(
        f"Expected a file of OpenCLIP's text tower, or a folder with {' or '.join(PLACES)}, found none at {path}; "
        "correct the path."
    )
