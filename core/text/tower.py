"""CLIP's text tower from a file that the user has: to train with, since a TextOVSR carries its own."""

from pathlib import Path

from torch import Tensor

from ...models.clip_text import ClipText, ClipTextConfig
from ...models.registry import read_state_dict
from ..errors import UnknownCheckpointError, WeightsNotFoundError

_PLACES = ("model.safetensors", "text_encoder/model.safetensors")
_PREFIXES = (
    "",
    "basicvsr.text_encoder.",
    "generator_ema.basicvsr.text_encoder.",
    "generator.basicvsr.text_encoder.",
    "clip_l.transformer.",
    "conditioner.embedders.0.transformer.",
    "cond_stage_model.transformer.",
)
_TOKENS = "text_model.embeddings.token_embedding.weight"
_STRAY = "embeddings.position_ids"
_HEAD_WIDTH = 64


def load_text_tower(path: Path) -> ClipText:
    """Build the text tower that a CLIP or TextOVSR file holds and load it, every key of the tower accounted for.

    Args:
        path: a folder as Hugging Face publishes CLIP (``openai/clip-vit-large-patch14-336`` is TextOVSR's), or one
            ``.safetensors``, such as ComfyUI's ``models/text_encoders/clip_l.safetensors``. What else it holds, the
            image tower and the projections, is left alone.

    Returns:
        The tower in eval mode, float32, on the CPU.

    Raises:
        WeightsNotFoundError: there is no such file.
        DamagedWeightsError: it is truncated.
        UnknownCheckpointError: it holds no such tower, or not all of it.
    """
    file = _file(path)
    weights = read_state_dict(file)
    prefix = next((prefix for prefix in _PREFIXES if prefix + _TOKENS in weights), None)
    if prefix is None:
        raise UnknownCheckpointError(
            f"Expected CLIP's text tower with the key {_TOKENS}, got {file} with keys such as {sorted(weights)[:3]}; "
            "choose a CLIP in the format of transformers or ComfyUI."
        )
    inner = f"{prefix}text_model."
    tower = {
        key.removeprefix(prefix): value.float()
        for key, value in weights.items()
        if key.startswith(inner) and not key.endswith(_STRAY)
    }
    network = ClipText(_read_config(tower, file))
    found = network.load_state_dict(tower, strict=False)
    if found.missing_keys or found.unexpected_keys:
        raise UnknownCheckpointError(
            f"Expected all of a text tower in {file}, {len(found.missing_keys)} keys are missing and "
            f"{len(found.unexpected_keys)} are unknown, such as {[*found.missing_keys, *found.unexpected_keys][0]}; "
            "choose a whole CLIP."
        )
    return network.eval()


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    for place in _PLACES:
        if (path / place).is_file():
            return path / place
    raise WeightsNotFoundError(
        f"Expected a CLIP file, or a folder with {' or '.join(_PLACES)}, found none at {path}; correct the path."
    )


def _read_config(tower: dict[str, Tensor], file: Path) -> ClipTextConfig:
    layers = {key.split(".")[3] for key in tower if key.startswith("text_model.encoder.layers.")}
    first = tower.get("text_model.encoder.layers.0.mlp.fc1.weight")
    positions = tower.get("text_model.embeddings.position_embedding.weight")
    if first is None or positions is None:
        raise UnknownCheckpointError(f"Expected all of a text tower in {file}, its layers are missing; choose another.")
    vocabulary, width = tower[_TOKENS].shape
    return ClipTextConfig(
        vocabulary, width, len(layers), max(1, width // _HEAD_WIDTH), first.shape[0], tokens=positions.shape[0]
    )
