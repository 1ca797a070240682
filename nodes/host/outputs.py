"""Where results go: inside ComfyUI's output folder, whatever a prefix says, and never over a file that is there."""

import os
import re
from pathlib import Path

import folder_paths

from ...core.errors import OutputError, SettingError
from .folders import ALLOWED_PATHS, shared_folders

_LONGEST = 220
"""Bytes of a name: numbers, suffixes and the hidden name of an unfinished file come to it, and 255 are the most."""

_BETWEEN = re.compile(r"[/\\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:")
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")


def output_path(prefix: str, size: tuple[int, int], suffix: str) -> tuple[Path, str]:
    """The next free numbered name in the output folder for a prefix, and its subfolder.

    Args:
        prefix: folders and the beginning of the name; ``%width%`` and the like are filled in.
        size: width and height in pixels, for these.
        suffix: of the file, with its dot.

    Raises:
        SettingError: the prefix, or a link in the output folder, leads out of it; or it names something hidden.
        OutputError: the folder cannot be made.
    """
    if not _SUFFIX.fullmatch(suffix):
        raise SettingError(f"Expected a kind of file such as .mp4, got {suffix!r}; choose one of those offered.")
    prefix = check_prefix(prefix)
    output = Path(folder_paths.get_output_directory())
    try:
        folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(prefix, str(output), *size)
        _check_inside(Path(folder), prefix)
        while os.path.lexists(path := Path(folder) / f"{name}_{counter:05}_{suffix}"):
            counter += 1
    except OSError as error:
        raise OutputError(
            f"Expected a folder for results, got filename_prefix {prefix!r}, which cannot be made: {error.strerror}; "
            "choose another one."
        ) from error
    return path, subfolder


def captions_path(prefix: str, video: Path, text: str) -> Path:
    """Where to save a video's captions in the output folder.

    Without a prefix that is the video's own name, unless a file of other captions has it; else the next numbered name.

    Raises:
        SettingError, OutputError: see ``output_path``.
    """
    passing = video.is_relative_to(Path(folder_paths.get_temp_directory()))  # its name says nothing
    own = "captions" if passing else _plain(video.stem)
    plain = Path(folder_paths.get_output_directory()) / f"{own}.vtt"
    if not prefix and not passing and not plain.is_symlink() and (not plain.exists() or _holds(plain, text)):
        return plain
    return output_path(prefix or own, (0, 0), ".vtt")[0]


def check_prefix(prefix: str) -> str:
    """A prefix as it is used: without slashes at its end, and known to stay inside the output folder.

    Raises:
        SettingError: it leads out, or names something hidden, such as the folder that unfinished jobs are kept in; or
            no file can be named so.
    """
    plain = prefix.strip().rstrip("/\\")
    parts = _BETWEEN.split(plain)
    fault = ""
    if not plain:
        fault = "which is empty"
    elif plain[0] in "/\\" or _DRIVE.match(plain) or ".." in parts:
        fault = "which leads out of it"
    elif any(part.startswith(".") for part in parts):
        fault = "which is hidden"
    elif _CONTROL.search(plain) or not _is_text(plain):
        fault = "which holds characters that no name can have"
    elif any(len(part.encode()) > _LONGEST for part in parts):
        fault = f"of which a part is longer than {_LONGEST} bytes"
    if fault:
        raise SettingError(
            "Expected a filename_prefix that names a place inside ComfyUI's output folder, such as video/TextOVSR, got "
            f"{prefix[:_LONGEST]!r}, {fault}; choose another one."
        )
    _check_inside((Path(folder_paths.get_output_directory()) / plain).parent, plain)
    return plain


def prefix_fault(prefix: str | None) -> bool | str:
    """What a node's ``validate_inputs`` says of a prefix; a linked one, None, is not known yet."""
    try:
        if prefix is not None:
            check_prefix(prefix)
    except SettingError as error:
        return str(error)
    return True


def _check_inside(folder: Path, prefix: str) -> None:
    """Links in the output folder may lead to where its owner shared folders, and nowhere else."""
    output = Path(folder_paths.get_output_directory()).resolve()
    if not any(folder.resolve().is_relative_to(place) for place in (output, *shared_folders())):
        raise SettingError(
            f"Expected a filename_prefix inside ComfyUI's output folder, got {prefix!r}, where a link leads out of it; "
            f"let the server's owner add its target to the environment variable {ALLOWED_PATHS}, or choose another one."
        )


def _plain(stem: str) -> str:
    """A video's name as one that results can have."""
    name = _CONTROL.sub("_", _BETWEEN.sub("_", stem)).lstrip(". ")
    name = name.encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore")
    return name or "captions"


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.stat().st_size == len(text.encode()) and path.read_bytes() == text.encode()


def _is_text(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:  # half of a pair, as JSON may hold
        return False
