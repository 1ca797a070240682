"""Refusing a file: in a sentence, and without taking memory for it."""

import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from textovsr.core.errors import TextOVSRError
from textovsr.models.registry import read_state_dict

MEMORY = 600 << 20
"""Bytes that refusing a file may take at most, beside what torch itself takes when it is used for the first time."""


def grown(read: Callable[[], object]) -> int:
    """Bytes by which the most memory that this process ever took has grown."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    read()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


def refused(path: Path, match: str, read: Callable[[Path], object] = read_state_dict) -> None:
    def attempt() -> None:
        with pytest.raises(TextOVSRError, match=match):
            read(path)

    assert grown(attempt) < MEMORY
