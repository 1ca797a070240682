"""Prompts to tokens, with and without the vocabulary."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textovsr.core.errors import MissingDependencyError
from textovsr.core.text import encode
from textovsr.core.text.encode import END, START, TOKENS, join_prompt, tokenize
from textovsr.models.clip_text import ClipTextConfig
from textovsr.models.text_ovsr_config import LITE

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


WRONG = "heavy blur, downsample, medium noise, light image compression, medium video compression"


def words_of(prompt: str) -> list[int]:
    """The tokens between the start and the first end."""
    ids, mask = tokenize([prompt])
    return ids[0, 1 : int(mask.sum()) - 1].tolist()


@pytest.mark.parametrize("length", [*range(54, 66), 100, 400])
def test_a_long_caption_leaves_room_for_what_is_wrong(length: int) -> None:
    caption, wrong = "cat " * length, words_of(WRONG)
    found = words_of(join_prompt(caption, WRONG))
    assert found[-len(wrong) :] == wrong
    room = TOKENS - 2 - len(wrong) - 1  # and a comma
    assert found[: -len(wrong) - 1] == words_of("cat " * min(length, room))


def test_what_fits_is_joined_as_it_is_to_the_last_token() -> None:
    room = TOKENS - 2 - len(words_of(f", {WRONG}"))
    for words, cut in ((room, 0), (room + 1, 1), (room + 5, 5)):
        caption = " ".join(["cat"] * words)
        assert join_prompt(caption, WRONG) == f"{' '.join(['cat'] * (words - cut))}, {WRONG}"


def test_a_cut_caption_ends_with_a_word_and_no_comma_of_its_own() -> None:
    prompt = join_prompt("an extraordinarily photogenic cat, " * 30, WRONG)
    caption, _, rest = prompt.partition(", heavy blur")
    assert rest == WRONG.removeprefix("heavy blur")
    assert caption.split()[-1] in ("an", "extraordinarily", "photogenic", "cat")
    assert len(words_of(prompt)) > TOKENS - 2 - len(words_of("extraordinarily photogenic"))


def test_captions_without_spaces_are_cut_too() -> None:
    caption = "一只猫坐在窗边看着外面的雨" * 10
    prompt = join_prompt(caption, WRONG)
    kept = prompt.removesuffix(f", {WRONG}")
    assert caption.startswith(kept)
    assert len(kept) > 10
    assert words_of(prompt)[-len(words_of(WRONG)) :] == words_of(WRONG)


def test_what_is_wrong_alone_fills_the_prompt_if_it_is_as_long() -> None:
    wrong = "heavy noise, " * 40
    assert join_prompt("a cat", wrong) == wrong.strip()


@settings(deadline=None, max_examples=60)
@given(caption=st.text(st.characters(exclude_characters="<>&"), max_size=300))
def test_whatever_the_caption_nothing_of_the_degradation_is_lost(caption: str) -> None:
    assert words_of(join_prompt(caption, WRONG))[-len(words_of(WRONG)) :] == words_of(WRONG)


def test_both_text_towers_read_as_many_tokens() -> None:
    assert ClipTextConfig().tokens == LITE.text.tokens == TOKENS
