"""STAR's published CogVideoX file, in SAT's names, as the state_dict of ``transformer.StarCogTransformer``.

Queries, keys and values are apart there, the modulations of a layer in two; low-rank updates (LoRA) are merged.
"""

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

OURS = "patch_embed.proj.weight"
"""A file in our names, diffusers', holds this; what stands before it is a prefix."""

PUBLISHED = "mixins.patch_embed.proj_sr.weight"
"""A file as published holds this, usually under ``model.diffusion_model.``."""

_IGNORED = ("mixins.pos_embed.", "mixins.patch_embed.proj.")  # tables that are made anew; CogVideoX's, replaced
_ORIGINAL = ".original."
_UPDATE = re.compile(r"(.+)\.matrix_([AB])\.(\d+)$")

_NAMES = (
    (r"time_embed\.0\.", "time_embedding.linear_1."),
    (r"time_embed\.2\.", "time_embedding.linear_2."),
    (r"mixins\.patch_embed\.proj_sr\.", "patch_embed.proj."),
    (r"mixins\.patch_embed\.text_proj\.", "patch_embed.text_proj."),
    (r"mixins\.final_layer\.norm_final\.", "norm_out.norm."),
    (r"mixins\.final_layer\.adaLN_modulation\.1\.", "norm_out.linear."),
    (r"mixins\.final_layer\.linear\.", "proj_out."),
    (r"mixins\.adaln_layer\.query_layernorm_list\.(\d+)\.", r"transformer_blocks.\1.attn1.norm_q."),
    (r"mixins\.adaln_layer\.key_layernorm_list\.(\d+)\.", r"transformer_blocks.\1.attn1.norm_k."),
    (r"mixins\.adaln_layer\.adaLN_modulations\.(\d+)\.1\.", r"transformer_blocks.\1.modulation."),
    (r"transformer\.final_layernorm\.", "norm_final."),
    (r"transformer\.layers\.", "transformer_blocks."),
    (r"\.attention\.query_key_value\.", ".attn1.to_qkv."),
    (r"\.attention\.dense\.", ".attn1.to_out.0."),
    (r"\.mlp\.dense_h_to_4h\.", ".ff.net.0.proj."),
    (r"\.mlp\.dense_4h_to_h\.", ".ff.net.2."),
    (r"\.input_layernorm\.", ".norm1.norm."),
    (r"\.post_attention_layernorm\.", ".norm2.norm."),
)


def holds_transformer(keys: Mapping[str, object]) -> bool:
    """Whether these are keys of STAR's transformer, in either layout."""
    return any(key.endswith((PUBLISHED, "transformer_blocks.0.spa_local.conv1.weight")) for key in keys)


def transformer_keys(state_dict: Mapping[str, Tensor], dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """The transformer's tensors in our names, whatever else the file holds left out.

    Memory: tensors that are already of ``dtype`` and have no updates are those of ``state_dict`` or views of them, so
    that a mapped file stays on the disk; of the others one at a time is held twice.

    Args:
        state_dict: of a file as published (SAT's names, its updates merged or not), or one in our names.
        dtype: of the result; None keeps that of each tensor.

    Raises:
        LookupError: it is neither.
        ValueError: a tensor cannot be split as it should, or is changed by one of another size.
    """
    prefix = _prefix(state_dict, PUBLISHED)
    if prefix is None:
        ours = _prefix(state_dict, OURS)
        if ours is None:
            raise LookupError(f"expected the key {PUBLISHED} or {OURS}")
        held = _below(state_dict, ours)
        return {key: value if dtype is None else value.to(dtype) for key, value in held.items()}
    held = _below(state_dict, prefix)
    named = {}
    for key, value in _merged(held, dtype):
        if not key.startswith(_IGNORED):
            named.update(_split(_renamed(key), value))
    return named


def _prefix(keys: Mapping[str, object], ending: str) -> str | None:
    """What stands before a key; the shortest, where several networks have it."""
    prefixes = (key.removesuffix(ending) for key in keys if key.endswith(ending))
    return min((prefix for prefix in prefixes if not prefix or prefix.endswith(".")), key=len, default=None)


def _below(state_dict: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """What is the transformer's: under a prefix all of it, else what has no other network's name."""
    others = ("conditioner.", "first_stage_model.")
    return {
        key.removeprefix(prefix): value
        for key, value in state_dict.items()
        if key.startswith(prefix) and (prefix or not key.startswith(others))
    }


def _merged(held: Mapping[str, Tensor], dtype: torch.dtype | None) -> Iterator[tuple[str, Tensor]]:
    """Tensors with their updates added: W + cat(B_i A_i) / r, where r is the rank (Hu et al., 2021, section 4.1)."""
    updates: dict[str, dict[tuple[str, int], Tensor]] = {}
    for key, value in held.items():
        if found := _UPDATE.match(key):
            updates.setdefault(found[1], {})[found[2], int(found[3])] = value
    for key, value in held.items():
        if _UPDATE.match(key):
            continue
        kind = value.dtype if dtype is None else dtype
        key = key.replace(_ORIGINAL, ".")
        update = updates.pop(key.removesuffix(".weight"), None) if key.endswith(".weight") else None
        yield key, value.to(kind) if update is None else (value.float() + _product(update, value.shape)).to(kind)
    if updates:
        raise LookupError(f"expected a weight that the update {next(iter(updates))} belongs to")


def _product(update: Mapping[tuple[str, int], Tensor], shape: torch.Size) -> Tensor:
    """An update of this shape, whose own two tensors may be long and thin, and their product anything."""
    numbers = sorted(number for side, number in update if side == "B")
    rank = update["A", 0].shape[0]
    rows = sum(update["B", i].shape[0] for i in numbers)
    if not rank or any((rows, *update["A", i].shape[1:]) != tuple(shape) for i in numbers):
        raise ValueError(f"an update of another size than {tuple(shape)}")
    return torch.cat([update["B", i].float() @ update["A", i].float() for i in numbers]) / rank


def _renamed(key: str) -> str:
    for theirs, ours in _NAMES:
        key = re.sub(theirs, ours, key)
    return key


def _split(key: str, value: Tensor) -> dict[str, Tensor]:
    """A tensor that is several of ours as these.

    Of a layer's 12 modulations the image's six come first: shift, scale, gate of the attention, the same of the
    feed-forward layer; then the text's. Ours are those of the attention, image and text, and those of the other.
    """
    if ".to_qkv." in key:
        parts = value.chunk(3)
        return {key.replace("to_qkv", f"to_{name}"): part for name, part in zip("qkv", parts, strict=True)}
    if ".modulation." in key:
        image, text = value.chunk(2)
        halves = zip(image.chunk(2), text.chunk(2), strict=True)
        pairs = zip(("norm1.linear", "norm2.linear"), halves, strict=True)
        return {key.replace("modulation", name): torch.cat(both) for name, both in pairs}
    return {key: value}
