"""Texts over time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textovsr.core.errors import SettingError
from textovsr.core.text.vtt import Cue, TimedText, parse_text, write_text

EXAMPLE = """WEBVTT - captions
Kind: descriptions

NOTE the opening
was cut

STYLE
::cue { color: red }

1
00:00.000 --> 00:02.500
a cat on
a  sofa

01:00:00.000 --> 01:00:04.000 align:start line:0
<v Roger>a <b>dog</b></v>

NOTE

00:02.500 --> 00:03.000
a door
"""


def test_cues_are_read_in_the_order_of_time() -> None:
    assert parse_text(EXAMPLE).cues == (
        Cue(0.0, 2.5, "a cat on a sofa"),
        Cue(2.5, 3.0, "a door"),
        Cue(3600.0, 3604.0, "a dog"),
    )


@pytest.mark.parametrize("change", [lambda t: t.replace("\n", "\r\n"), lambda t: "\ufeff" + t, lambda t: "\n\n" + t])
def test_line_ends_and_marks_of_other_systems_do_not_matter(change: object) -> None:
    assert parse_text(change(EXAMPLE)) == parse_text(EXAMPLE)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "a cat on a sofa"), (2.49, "a cat on a sofa"), (2.5, "a door"), (99.0, "a door"), (1e6, "a dog")],
)
def test_a_text_holds_until_the_next_one_starts(seconds: float, text: str) -> None:
    assert parse_text(EXAMPLE).at(seconds) == text


def test_a_cue_rounded_to_milliseconds_starts_with_its_frame() -> None:
    text = parse_text("WEBVTT\n\n00:00.042 --> 00:02.000\na cat")
    assert text.at(1 / 24) == "a cat"
    assert text.at(0.0) == ""


def test_before_the_first_cue_there_is_no_text() -> None:
    assert parse_text("WEBVTT\n\n00:01.000 --> 00:02.000\na cat").at(0.999) == ""


@given(
    text=st.text(max_size=60).filter(lambda t: not t.strip("\ufeff \n\t").startswith("WEBVTT")), at=st.floats(0, 1e6)
)
def test_plain_text_holds_for_the_whole_video(text: str, at: float) -> None:
    assert parse_text(text).at(at) == " ".join(text.replace("\r\n", "\n").strip("\ufeff \n\t").split())


def test_a_word_that_only_begins_like_the_header_is_plain_text() -> None:
    assert parse_text("WEBVTTs are files").at(0) == "WEBVTTs are files"


@pytest.mark.parametrize("text", ["WEBVTT", "WEBVTT\n\n", "", "  \n"])
def test_no_cues_are_no_text(text: str) -> None:
    assert parse_text(text).at(5) == ""


def test_the_empty_line_after_the_header_may_be_missing() -> None:
    assert parse_text("WEBVTT\n00:00.000 --> 00:02.000\na cat").at(1) == "a cat"


@given(
    starts=st.lists(st.integers(0, 10**7), min_size=1, max_size=8, unique=True),
    words=st.lists(st.sampled_from(["cat", "dog", "door"]), min_size=8, max_size=8),
)
def test_what_is_written_is_read(starts: list[int], words: list[str]) -> None:
    def clock(milliseconds: int) -> str:
        minutes, rest = divmod(milliseconds, 60_000)
        return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"

    cues = [f"{clock(start)} --> {clock(start + 1)}\n{word}" for start, word in zip(starts, words, strict=False)]
    text = parse_text("\n\n".join(["WEBVTT", *cues]))
    for start, word in zip(starts, words, strict=False):
        assert text.at(start / 1000) == word


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("00:01,000 --> 00:02,000\na", r"times like 00:01:02\.500 .*got '00:01,000 --> 00:02,000'; correct"),
        ("1 --> 2\na", "Expected times like"),
        ("00:01.000 --> 00:01.000\na", "end after it starts, got '00:01.000 --> 00:01.000'"),
        ("00:03.000 --> 00:01.000\na", "end after it starts"),
        ("a text without times", r"a line like 00:00\.000 --> 00:04\.000, got 'a text without times'; add its times"),
    ],
)
def test_bad_times_are_named(block: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        parse_text(f"WEBVTT\n\n{block}")


@given(
    spans=st.lists(st.tuples(st.integers(0, 10**8), st.integers(1, 10**6)), min_size=1, max_size=6),
    text=st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="<>"), max_size=40),
)
def test_what_is_written_is_read_back(spans: list[tuple[int, int]], text: str) -> None:
    cues = [Cue(start / 1000, (start + length) / 1000, " ".join(text.split())) for start, length in spans]
    read = parse_text(write_text(cues)).cues
    for ours, theirs in zip(sorted(cues, key=lambda cue: cue.start), read, strict=True):
        assert (theirs.start, theirs.end, theirs.text) == (
            pytest.approx(ours.start),
            pytest.approx(ours.end),
            ours.text,
        )


def test_a_written_cue_is_one_line_without_markup_and_lasts() -> None:
    written = write_text([Cue(-1.0, 0.0, "a <b>cat</b>\n\non --> a sofa"), Cue(3661.0004, float("inf"), "x")])
    assert written == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:00.001\na bcat/b on -- a sofa\n\n01:01:01.000 --> 99:59:59.999\nx\n"
    )
    assert [cue.text for cue in parse_text(written).cues] == ["a bcat/b on -- a sofa", "x"]


def test_no_cues_are_a_header() -> None:
    assert write_text([]) == "WEBVTT\n"


@pytest.mark.parametrize("words", ["<" * 1_000_000, "<b" * 500_000, " " * 1_000_000])
def test_long_texts_are_read_once(words: str) -> None:
    """What grows with the square of a text's length takes hours here."""
    assert len(parse_text(f"WEBVTT\n\n00:00.000 --> 00:01.000\na {words}").cues) >= 1


def test_many_cues_are_looked_up_quickly() -> None:
    text = TimedText(tuple(Cue(float(n), n + 1.0, str(n)) for n in range(200_000)))
    assert all(text.at(n + 0.5) == str(n) for n in range(200_000))


@pytest.mark.parametrize("line", ["9" * 400 + ":00:00.000 --> 00:01.000", "00:00.000 --> x" + "y" * 10**6, "z" * 10**6])
def test_a_long_line_is_named_by_its_beginning(line: str) -> None:
    with pytest.raises(SettingError, match="Expected") as caught:
        parse_text(f"WEBVTT\n\n{line}")
    assert len(str(caught.value)) < 300
