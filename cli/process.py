"""What a process owes its surroundings: pipes that nobody reads any more, closed streams, and a polite end."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn, TextIO

from .common import printable

STANDARD_STREAMS = 3


class TerminatedError(KeyboardInterrupt):
    """SIGTERM: asked to end, by a service manager or ``kill``; taken like Ctrl-C."""


def open_standard_streams() -> None:
    """Give closed standard streams to the null device.

    Otherwise the next file that is opened, a video perhaps, becomes standard error, and libraries write their messages
    into it.
    """
    for descriptor in range(STANDARD_STREAMS):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  (open until the process ends)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115


def say(words: str, stream: TextIO) -> None:
    """Print a line to somebody who may have stopped listening."""
    try:
        print(printable(words), file=stream, flush=True)
    except OSError:
        mute(stream)


def mute(stream: TextIO) -> None:
    """Send a broken stream to the null device, or else Python fails on what waits in it when it ends."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
        stream.flush()


def finish_streams() -> None:
    """Print what waits; what nobody reads is dropped."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            mute(stream)


@contextmanager
def terminated_politely() -> Iterator[None]:
    """Within the block SIGTERM raises ``TerminatedError``, unless the process has other plans for it."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def end(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends it at once
        raise TerminatedError

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
