"""T5's encoder (version 1.1, XXL in CogVideoX) from any of the files that users have, and prompts to what it says."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...models.building import fitting, without_memory
from ...models.registry import StateDict, read_state_dict, some_keys
from ..errors import UnknownCheckpointError, WeightsNotFoundError
from .t5_tokens import TOKENS, load_tokenizer, token_ids

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import T5Config

_BIAS = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
_WIDE = "encoder.block.0.layer.1.DenseReluDense.wi_0.weight"
_QUERY = "encoder.block.0.layer.0.SelfAttention.q.weight"
_SHARED, _EMBEDDED = "shared.weight", "encoder.embed_tokens.weight"
_SCALED = ("scaled_fp8", ".scale_weight", ".weight_scale", ".comfy_quant")
_FOLDERS = ("", "text_encoder")


class T5Text(nn.Module):
    """The encoder with its tokeniser.

    Args:
        encoder: transformers' ``T5EncoderModel``.
        tokenizer: of the ``tokenizers`` package.
    """

    def __init__(self, encoder: nn.Module, tokenizer: "Tokenizer") -> None:
        super().__init__()
        self.encoder = encoder
        self.tokenizer = tokenizer

    def forward(self, ids: Tensor) -> Tensor:
        """(B,K) token ids to (B,K,D); what fills a text up is read as well, as CogVideoX was trained."""
        return self.encoder(input_ids=ids).last_hidden_state


def load_t5(source: Path, tokenizer: Path, dtype: torch.dtype = torch.bfloat16) -> T5Text:
    """Build the encoder that a file holds and load it, every key accounted for.

    Takes transformers' names, whatever stands before them: the folder ``text_encoder`` of CogVideoX-5B, in one file or
    several, and ComfyUI's ``t5xxl_fp16.safetensors``. A decoder beside it is left out.

    Memory: tensors of ``dtype`` stay in the file until they are used, so it must not change meanwhile; of the others
    one at a time is held twice.

    Args:
        source: a file, or a folder of ``.safetensors``.
        tokenizer: a file ``tokenizer.json`` or ``spiece.model``, or a folder with one; ComfyUI has the former in
            ``comfy/text_encoders/t5_tokenizer``.
        dtype: what the tensors are kept in; float16 is too narrow for this network.

    Returns:
        The encoder in eval mode, on the CPU, without gradients.

    Raises:
        WeightsNotFoundError: there is no such file.
        DamagedWeightsError: it is truncated or holds code.
        UnknownCheckpointError: it holds no such encoder, or not all of it, or numbers that only ComfyUI can read.
    """
    words = load_tokenizer(tokenizer)
    weights = _encoder_keys(_read(source), source)
    from transformers import T5EncoderModel

    with fitting(f"all of T5's encoder, version 1.1, in {source}", "choose another file, or download it again"):
        with without_memory(len(weights)):
            encoder = T5EncoderModel(_config(weights))
        kept = {key: value.to(dtype) for key, value in weights.items()}
        kept[_EMBEDDED] = kept[_SHARED] = kept[_SHARED] if _SHARED in kept else kept[_EMBEDDED]
        encoder.load_state_dict(kept, strict=True, assign=True)
    encoder.encoder.embed_tokens.weight = encoder.shared.weight  # one tensor, on any device
    return T5Text(encoder, words).eval().requires_grad_(False)


def encode(network: T5Text, prompt: str) -> Tensor:
    """What CogVideoX reads of a prompt.

    Args:
        network: the encoder, where it shall run.
        prompt: a text; longer than ``TOKENS`` it is cut.

    Returns:
        (TOKENS,D), on the network's device and in its dtype.
    """
    ids = torch.tensor([token_ids(network.tokenizer, prompt, TOKENS)])
    with torch.no_grad():
        return network(ids.to(next(network.parameters()).device))[0]


def _read(source: Path) -> StateDict:
    if not source.is_dir():
        return read_state_dict(source, mapped=True)
    for folder in _FOLDERS:
        files = sorted((source / folder).glob("*.safetensors"))
        if files:
            return {key: value for file in files for key, value in read_state_dict(file, mapped=True).items()}
    raise WeightsNotFoundError(
        f"Expected T5's encoder as .safetensors in {source}, found none; correct the path or download it."
    )


def _encoder_keys(weights: Mapping[str, Tensor], source: Path) -> StateDict:
    """The encoder's tensors in transformers' names."""
    if any(key.endswith(_SCALED) for key in weights):
        raise UnknownCheckpointError(
            f"Expected plain numbers in {source}, found scaled 8-bit ones, which only ComfyUI reads; choose a file in "
            "16 bits, such as t5xxl_fp16.safetensors."
        )
    prefix = next((key.removesuffix(_BIAS) for key in sorted(weights, key=len) if key.endswith(_BIAS)), None)
    if prefix is None:
        raise UnknownCheckpointError(
            f"Expected T5's encoder, got {source} with keys such as {some_keys(weights)}; choose the text encoder of "
            "CogVideoX-5B, or ComfyUI's t5xxl_fp16.safetensors."
        )
    chosen = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
    return {key: value for key, value in chosen.items() if key == _SHARED or key.startswith("encoder.")}


def _config(weights: Mapping[str, Tensor]) -> "T5Config":
    """The sizes that these weights have."""
    from transformers import T5Config

    embedded = weights[_SHARED] if _SHARED in weights else weights[_EMBEDDED]
    buckets, heads = weights[_BIAS].shape
    sizes: dict[str, Any] = {
        "vocab_size": embedded.shape[0],
        "d_model": embedded.shape[1],
        "d_kv": weights[_QUERY].shape[0] // heads,
        "d_ff": weights[_WIDE].shape[0],
        "num_layers": len({key.split(".")[2] for key in weights if key.startswith("encoder.block.")}),
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
        "tie_word_embeddings": False,
    }
    return T5Config(**sizes, feed_forward_proj="gated-gelu")
