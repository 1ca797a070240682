"""A T5 of two layers and twelve words."""

import json
import struct
from pathlib import Path

import torch
from torch import Tensor

_WORDS = ("<pad>", "</s>", "<unk>", "\u2581a", "\u2581cat", "\u2581", "a", "b", "c", "t", "s", ",")
_SCORES = (0.0, 0.0, 0.0, -1.0, -1.5, -2.0, -3.0, -3.1, -3.2, -3.3, -3.4, -3.5)


def small_t5_weights() -> dict[str, Tensor]:
    """All tensors of an encoder 48 wide, with 6 heads of 8, in transformers' names."""
    generator = torch.Generator().manual_seed(0)
    shapes: dict[str, tuple[int, ...]] = {"shared.weight": (12, 48), "encoder.final_layer_norm.weight": (48,)}
    for i in range(2):
        attention, wide = f"encoder.block.{i}.layer.0", f"encoder.block.{i}.layer.1"
        shapes |= {f"{attention}.SelfAttention.{name}.weight": (48, 48) for name in "qkvo"}
        shapes |= {f"{wide}.DenseReluDense.{name}.weight": (40, 48) for name in ("wi_0", "wi_1")}
        shapes[f"{wide}.DenseReluDense.wo.weight"] = (48, 40)
        shapes |= {f"{layer}.layer_norm.weight": (48,) for layer in (attention, wide)}
    shapes["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = (32, 6)
    weights = {key: 0.2 * torch.randn(*shape, generator=generator) for key, shape in shapes.items()}
    return {**weights, "encoder.embed_tokens.weight": weights["shared.weight"]}


def tokenizer_json(path: Path) -> Path:
    """Write the vocabulary as transformers does."""
    content = {
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
        "padding": None,
        "added_tokens": [],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Strip", "strip_left": False, "strip_right": True},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"},
            ],
        },
        "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "Unigram", "unk_id": 2, "vocab": list(zip(_WORDS, _SCORES, strict=True))},
    }
    path.write_text(json.dumps(content), "utf-8")
    return path


def tokenizer_model(path: Path) -> Path:
    """Write the vocabulary as SentencePiece does, with fields that do not matter."""
    pieces = b""
    for number, (word, score) in enumerate(zip(_WORDS, _SCORES, strict=True)):
        text = word.encode()
        piece = b"\x0a" + bytes([len(text)]) + text + b"\x15" + struct.pack("<f", score)
        piece += b"\x18" + bytes([2 if number == 2 else 3 if number < 2 else 1])
        pieces += b"\x0a" + bytes([len(piece)]) + piece
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pieces + b"\x12\x03\x20\xc0\x3e" + b"\x1a\x02\x18\x01")
    return path
