"""A result as a folder of PNG pictures, with the time of each."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from ..durable import sync_file, sync_folder, writing_explained
from ..errors import EncoderError, OutputExistsError
from ..unfinished import unfinished
from .mux import MuxReport
from .segments import joined
from .source import find_video_stream, open_source
from .tracks import describe
from .window import window_of

TIMES = "times.txt"
"""Number of a picture, and the exact seconds at which it begins and that it lasts, as fractions."""

_PNG = b"\x89PNG\r\n\x1a\n"


def write_sequence(
    segments: Sequence[Path],
    source: Path,
    folder: Path,
    *,
    start: float = 0.0,
    duration: float | None = None,
    work: Path | None = None,
) -> MuxReport:
    """Write the packets of PNG segments as ``frame_000001.png`` and so on, with the time of each beside them.

    The folder appears under its name only when all pictures are in it and on the disk. Peak memory: one picture.

    Args:
        segments: files of PNG packets, in order, on the timeline of ``source``.
        source: the file they were made from.
        folder: the result; it must not exist, or be empty.
        start: seconds from the first frame of ``source``; as for ``mux``.
        duration: seconds; None for all that follows.
        work: see ``unfinished``.

    Returns:
        What a folder of pictures cannot hold: sound, subtitles and all the rest.

    Raises:
        VideoError: ``source`` cannot be read.
        EncoderError: the segments differ, or do not hold PNG.
        OutputExistsError: ``folder`` holds something.
        DiskFullError: there is no room.
        OutputError: the folder cannot be written.
    """
    check_sequence(folder)
    report = _what_is_lost(source)
    origin = window_of(source, start, duration).origin
    with unfinished(folder, work) as partial, writing_explained(folder):
        partial.mkdir()
        _write(segments, origin, partial)
        _rename(partial, folder)
    return report


def check_sequence(folder: Path) -> None:
    """Check that pictures may be written to ``folder``.

    Raises:
        OutputExistsError: it holds something, or is a file.
    """
    if folder.is_dir():
        if any(folder.iterdir()):
            raise OutputExistsError(f"Expected an empty folder or a new one, got {folder}; name another one.")
    elif folder.exists():
        raise OutputExistsError(f"Expected a folder, got the file {folder}; name another one.")


def _write(segments: Sequence[Path], origin: Fraction, folder: Path) -> None:
    with (folder / TIMES).open("w", encoding="ascii") as times:
        times.write("# number\tbegins [s]\tlasts [s]\n")
        for number, (data, begins, lasts) in enumerate(_pictures(segments, origin), start=1):
            (folder / f"frame_{number:06}.png").write_bytes(data)
            times.write(f"{number}\t{begins}\t{lasts}\n")
    for path in folder.iterdir():  # only now: by this time the system has written most of them
        sync_file(path)
    sync_folder(folder)


def _pictures(segments: Sequence[Path], origin: Fraction) -> Iterator[tuple[bytes, Fraction, Fraction]]:
    for packet in joined(segments, origin):
        data = bytes(packet)
        if not data.startswith(_PNG):
            raise EncoderError(f"Expected segments of PNG pictures, got others ({segments[0]}); run the job afresh.")
        yield data, (packet.pts or 0) * packet.time_base, (packet.duration or 0) * packet.time_base


def _rename(partial: Path, folder: Path) -> None:
    if folder.exists():
        folder.rmdir()  # empty, as was checked; Windows renames onto nothing
    partial.replace(folder)
    sync_folder(folder.absolute().parent)


def _what_is_lost(source: Path) -> MuxReport:
    report = MuxReport()
    with open_source(source) as container:
        main = find_video_stream(container, source).index
        for stream in container.streams:
            if stream.index != main:
                report.dropped.append(f"{describe(stream)}: a folder of pictures cannot hold it; write a video.")
    return report
