"""What a server answers, which may be anything."""

from typing import Protocol

from ..errors import ServerError

_LONGEST = 1 << 26


class _Answer(Protocol):
    def read(self, amount: int, /) -> bytes:
        """At most so many bytes."""


def read_whole(answer: _Answer, address: str) -> bytes:
    """All bytes of an answer that is to be JSON.

    Raises:
        ServerError: they do not end within 64 MiB.
    """
    text = answer.read(_LONGEST + 1)
    if len(text) > _LONGEST:
        raise ServerError(f"Expected a ComfyUI at {address}, got an answer of more than {_LONGEST} bytes.")
    return text
