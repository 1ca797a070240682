"""Fuzz targets for texts: what users type or paste, and what a run finds in its own folder."""

import tempfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from textovsr.core.errors import SettingError
from textovsr.core.journal import Journal
from textovsr.core.restorers import configs
from textovsr.core.restorers.settings import DiffusionSettings
from textovsr.core.text.encode import TOKENS, join_prompt, tokenize
from textovsr.core.text.vtt import is_webvtt, parse_text, write_text

_SYSTEMS: tuple[Callable[[DiffusionSettings], Any], ...] = (
    configs.mgld_config,
    configs.diffvsr_config,
    configs.star_config,
    configs.star_cog_config,
    configs.sdatc_config,
)


def text_of(data: bytes) -> str:
    """Any text, also one that no encoding can write."""
    return data.decode("utf-8", "surrogateescape")


def fuzz_webvtt(data: bytes) -> None:
    """A WebVTT: what was read and written again reads the same."""
    with suppress(SettingError):
        text = parse_text(text_of(data))
        text.at(0.0), text.at(1e9)
        assert all(cue.start < cue.end for cue in text.cues)
        written = write_text(text.cues)
        assert is_webvtt(written)
        words = [cue.text.replace("<", "").replace(">", "").split() for cue in text.cues]
        assert [cue.text.split() for cue in parse_text(written).cues] == words


def fuzz_prompt(data: bytes) -> None:
    """A caption and a text of degradations, between them a line break: the prompt keeps the latter, and is read."""
    caption, _, degradation = text_of(data).partition("\n")
    prompt = join_prompt(caption, degradation)
    ids, mask = tokenize([prompt])
    assert ids.shape == mask.shape == (1, TOKENS)


def fuzz_options(data: bytes) -> None:
    """Options of a diffusion system; the first byte chooses which."""
    with suppress(SettingError):
        system = _SYSTEMS[data[0] % len(_SYSTEMS)] if data else _SYSTEMS[0]
        system(DiffusionSettings(options=text_of(data[1:])))


def fuzz_journal(data: bytes) -> None:
    """A journal in a job's folder: whatever is left of it, the job begins or goes on.

    The first byte chooses whether the lines are as they come, or get the checksums that they ought to have.
    """
    lines = data[1:]
    if data[:1] > b"\x7f":
        lines = b"".join(b"%s %08x\n" % (line, zlib.crc32(line)) for line in lines.split(b"\n"))
    with tempfile.TemporaryDirectory(prefix="textovsr-fuzz-") as folder:
        (Path(folder) / "journal.jsonl").write_bytes(lines)
        (Path(folder) / "segment-00000.mp4").write_bytes(b"picture")
        with Journal(Path(folder), {"key": "abc"}) as journal:
            assert journal.frames >= 0
            journal.pause()
