"""Texts over time as WebVTT; plain text stands for the whole video."""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import SettingError

_TIME = r"((?:\d{1,9}:)?\d{2}:\d{2}\.\d{3})"
_TIMING = re.compile(rf"^{_TIME}\s+-->\s+{_TIME}(?:\s.*)?$")

_ROUNDING = 0.0005
"""Seconds: WebVTT counts milliseconds, so a cue that is meant to start at a frame may be written half of one later."""

_LONGEST = 99 * 3600 + 59 * 60 + 59.999
"""Seconds: the end of a cue that has none."""

_SHOWN = 100
"""Letters of a line that an error names."""


@dataclass(frozen=True)
class Cue:
    """A text from ``start`` (included) to ``end`` (excluded), in seconds from the video's beginning."""

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class TimedText:
    """Cues in order; between and after them the text of the nearest earlier cue goes on."""

    cues: tuple[Cue, ...]

    def at(self, seconds: float) -> str:
        """The text at a time; empty before the first cue."""
        started = bisect_right(self.cues, seconds + _ROUNDING, key=lambda cue: cue.start)
        return self.cues[started - 1].text if started else ""


def is_webvtt(text: str) -> bool:
    """Whether it is WebVTT, rather than plain text."""
    return re.match(r"WEBVTT(\s|$)", text.lstrip("\ufeff \r\n\t")) is not None


def parse_text(text: str) -> TimedText:
    """Read WebVTT, or take plain text for the whole video.

    Args:
        text: starts with ``WEBVTT`` or is plain.

    Raises:
        SettingError: a cue's timing cannot be read or ends before it starts.
    """
    text = text.replace("\r\n", "\n").strip("\ufeff \n\t")
    if not is_webvtt(text):
        return TimedText((Cue(0.0, float("inf"), " ".join(text.split())),) if text else ())
    header, *blocks = re.split(r"\n\s*\n", text)
    if "-->" in header:  # no empty line after the first; everybody reads that too
        blocks.insert(0, header.partition("\n")[2])
    cues = [cue for block in blocks if (cue := _parse_block(block)) is not None]
    return TimedText(tuple(sorted(cues, key=lambda cue: cue.start)))


def write_text(cues: Iterable[Cue], note: str = "") -> str:
    """WebVTT that ``parse_text`` reads back, times rounded to milliseconds; a note is for people, and skipped.

    A cue lasts a millisecond at least, as the format wants it; one without an end lasts to the format's longest hour.
    Angle brackets, which would be markup, are left out; white space becomes single spaces.
    """
    blocks = ["WEBVTT", *([f"NOTE {note}"] if note else [])]
    for cue in cues:
        start = round(max(cue.start, 0.0) * 1000)
        end = max(min(round(min(cue.end, _LONGEST) * 1000), round(_LONGEST * 1000)), start + 1)
        words = " ".join(cue.text.replace("<", "").replace(">", "").split())
        blocks.append(f"{_stamp(start)} --> {_stamp(end)}\n{words}")
    return "\n\n".join(blocks) + "\n"


def _stamp(milliseconds: int) -> str:
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"


def _parse_block(block: str) -> Cue | None:
    lines = [line.strip() for line in block.strip().splitlines()]
    if not lines or lines[0].split(" ")[0] in {"NOTE", "STYLE", "REGION"}:
        return None
    place = next((i for i, line in enumerate(lines[:2]) if "-->" in line), None)
    if place is None:
        raise SettingError(
            f"Expected a cue with a line like 00:00.000 --> 00:04.000, got {lines[0][:_SHOWN]!r}; add its times."
        )
    match = _TIMING.match(lines[place])
    if match is None:
        raise SettingError(
            f"Expected times like 00:01:02.500 --> 00:01:04.000, got {lines[place][:_SHOWN]!r}; correct them."
        )
    start, end = _seconds(match.group(1)), _seconds(match.group(2))
    if end <= start:
        raise SettingError(f"Expected a cue to end after it starts, got {lines[place][:_SHOWN]!r}; correct its times.")
    words = re.sub(r"<[^<>]*>", "", " ".join(lines[place + 1 :]))
    return Cue(start, end, " ".join(words.split()))


def _seconds(timestamp: str) -> float:
    seconds = 0.0
    for part in timestamp.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds
