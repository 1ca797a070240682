"""Prompts to CLIP tokens, with open_clip's BPE vocabulary, which needs no download."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..errors import MissingDependencyError

TOKENS = 77
START = 49406
END = 49407


def tokenize(prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Token ids and padding mask as TextOVSR wants them (``specs`` section 2.4): padded with the end token.

    Args:
        prompts: N texts; longer than 75 tokens are cut.

    Returns:
        ids (N,77) int64 and mask (N,77) int64, 1 up to and including the first end token.

    Raises:
        MissingDependencyError: open_clip is not installed and a prompt is not empty.
    """
    ids = torch.full((len(prompts), TOKENS), END, dtype=torch.int64)
    mask = torch.zeros((len(prompts), TOKENS), dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        words = _tokenizer().encode(prompt)[: TOKENS - 2] if prompt.strip() else []
        ids[row, : len(words) + 1] = torch.tensor([START, *words])
        mask[row, : len(words) + 2] = 1
    return ids, mask


def join_prompt(caption: str, degradation: str) -> str:
    """One prompt from what is to be seen and what is wrong with it."""
    return ", ".join(text.strip() for text in (caption, degradation) if text.strip())


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    try:
        from open_clip.tokenizer import SimpleTokenizer
    except ImportError as error:
        raise MissingDependencyError(
            "Expected the package open_clip_torch for captions, found none; "
            "run `pip install open_clip_torch`, or leave the texts empty."
        ) from error
    return SimpleTokenizer()
