"""Prompts to tokens, with and without the vocabulary."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textovsr.core.errors import MissingDependencyError
from textovsr.core.text import encode
from textovsr.core.text.encode import END, START, TOKENS, join_prompt, tokenize

CAT = [320, 1125, 539, 320, 2368]
"""CLIP's own tokens of "a photo of a cat"."""


@pytest.fixture
def no_open_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if open_clip were not installed."""
    monkeypatch.setitem(sys.modules, "open_clip", None)
    monkeypatch.setitem(sys.modules, "open_clip.tokenizer", None)
    encode._tokenizer.cache_clear()


def test_known_words_have_clips_own_tokens() -> None:
    ids, mask = tokenize(["a photo of a cat"])
    assert ids[0].tolist() == [START, *CAT] + [END] * (TOKENS - 6)
    assert mask[0].tolist() == [1] * 7 + [0] * (TOKENS - 7)


def test_case_and_spaces_do_not_matter() -> None:
    ids, _ = tokenize(["  A  photo\nof a CAT "])
    assert ids[0, 1:6].tolist() == CAT


@settings(deadline=None)
@given(prompts=st.lists(st.text(st.characters(exclude_characters="<>"), max_size=80), min_size=1, max_size=4))
def test_the_mask_ends_with_the_first_end_token(prompts: list[str]) -> None:
    ids, mask = tokenize(prompts)
    assert ids.shape == mask.shape == (len(prompts), TOKENS)
    for row, kept in zip(ids.tolist(), mask.tolist(), strict=True):
        first = row.index(END)
        assert row[0] == START
        assert row[first:] == [END] * (TOKENS - first)
        assert kept == [1] * (first + 1) + [0] * (TOKENS - first - 1)


@pytest.mark.parametrize(("words", "kept"), [(74, 76), (75, 77), (76, 77), (300, 77)])
def test_long_prompts_are_cut_and_still_end(words: int, kept: int) -> None:
    ids, mask = tokenize(["cat " * words])
    assert int(mask.sum()) == kept
    assert int(ids[0, kept - 1]) == END
    assert ids[0, 1 : kept - 1].unique().tolist() == [2368]


def test_rows_do_not_touch() -> None:
    ids, mask = tokenize(["", "a photo of a cat"])
    assert ids[0].tolist() == [START] + [END] * (TOKENS - 1)
    assert mask[0].tolist() == [1, 1] + [0] * (TOKENS - 2)
    assert ids[1, 1:6].tolist() == CAT


@pytest.mark.usefixtures("no_open_clip")
@pytest.mark.parametrize("prompt", ["", "  \n"])
def test_empty_prompts_need_no_vocabulary(prompt: str) -> None:
    ids, mask = tokenize([prompt])
    assert ids[0].tolist() == [START] + [END] * (TOKENS - 1)
    assert int(mask.sum()) == 2


@pytest.mark.usefixtures("no_open_clip")
def test_without_the_vocabulary_the_user_is_told_what_to_install() -> None:
    with pytest.raises(MissingDependencyError, match="pip install open_clip_torch`, or leave the texts empty"):
        tokenize(["a cat"])


@pytest.mark.parametrize(
    ("caption", "degradation", "expected"),
    [("", "", ""), ("a cat ", "", "a cat"), (" ", "noise", "noise"), ("a cat", " noise\n", "a cat, noise")],
)
def test_a_prompt_is_what_is_seen_and_what_is_wrong(caption: str, degradation: str, expected: str) -> None:
    assert join_prompt(caption, degradation) == expected
