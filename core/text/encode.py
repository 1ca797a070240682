"""Prompts to CLIP tokens, with open_clip's BPE vocabulary, which needs no download."""

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..errors import MissingDependencyError

TOKENS = 77
"""Of a prompt, with its start and its end: what CLIP's text tower reads, and so does our compact one."""

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


@lru_cache(maxsize=256)  # once a frame it is asked for, and texts change with the shot
def join_prompt(caption: str, degradation: str) -> str:
    """One prompt from what is to be seen and what is wrong with it: ``caption, degradation``.

    Where both do not fit into the ``TOKENS`` that are read, the caption loses its last words, since the end of the
    prompt would be cut off and the degradation stands there. A caption in a script without spaces loses letters.

    Raises:
        MissingDependencyError: open_clip is not installed, both are given, and they might not fit.
    """
    seen, wrong = caption.strip(), degradation.strip()
    if not (seen and wrong) or _fits(_joined(seen, wrong)):
        return _joined(seen, wrong)
    words = seen.split()
    kept = " ".join(words[: _most_that_fit(words, " ", wrong)])
    return _joined(kept or words[0][: _most_that_fit(words[0], "", wrong)], wrong)


def _joined(seen: str, wrong: str) -> str:
    return ", ".join(filter(None, (seen.rstrip(" ,;:") if wrong else seen, wrong)))


def _most_that_fit(pieces: Sequence[str], between: str, wrong: str) -> int:
    """How many of a caption's pieces, from its beginning, leave room for what is wrong."""

    def too_many(count: int) -> bool:
        return not _fits(_joined(between.join(pieces[:count]), wrong))

    return bisect_left(range(1, len(pieces) + 1), True, key=too_many)


def _fits(prompt: str) -> bool:
    """Whether a prompt is read to its end; no token is shorter than a letter of ASCII."""
    room = TOKENS - 2
    return (prompt.isascii() and len(prompt) <= room) or len(_tokenizer().encode(prompt)) <= room


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
