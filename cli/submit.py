"""``textovsr submit``: files through a workflow on ComfyUI servers."""

import argparse
import mimetypes
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ..core.errors import SettingError
from ..core.submit.pool import Limits
from .common import Outcome, given, printable
from .process import mute

if TYPE_CHECKING:
    from ..core.submit.task import Task

SERVER = "http://127.0.0.1:8188"

_SECONDS_BETWEEN_LINES = 10.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument("workflow", metavar="WORKFLOW", help="a file in API format, or the name of a bundled one")
    parser.add_argument(
        "--input",
        type=Path,
        nargs="+",
        action="extend",
        required=True,
        metavar="FILE",
        help="videos to send, each through the workflow; a folder stands for the videos in it",
    )
    parser.add_argument(
        "--server", nargs="+", action="extend", metavar="URL", help=f"servers that share the work (default {SERVER})"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("output"), metavar="FOLDER", help="where results go (default %(default)s)"
    )
    parser.add_argument(
        "--set",
        dest="settings",
        nargs="+",
        action="extend",
        default=[],
        metavar="NODE.INPUT=VALUE",
        help="change an input of a node, which is named by its number, class or title",
    )
    parser.add_argument("--to", default="", metavar="NODE.INPUT", help="what takes the file, if it cannot be guessed")
    parser.add_argument(
        "--retries", type=int, help=f"times a file is tried again after a failure (default {Limits.retries})"
    )
    parser.add_argument(
        "--patience",
        type=float,
        metavar="SECONDS",
        help=f"how long a server may be silent before it is given up (default {Limits.patience:g})",
    )
    parser.add_argument("--quiet", action="store_true", default=False, help="no progress")
    parser.set_defaults(interrupted=lambda options: "what was queued is taken back; the same command goes on")


def run(options: argparse.Namespace) -> Outcome:
    """Send files, wait for them, fetch the results."""
    from ..core.submit.run import Order, submit_files
    from ..core.submit.workflow import load_workflow

    limits = given(Limits, options)
    if limits.retries < 0 or not limits.patience >= 0:
        raise SettingError("Expected --retries and --patience of at least 0; correct them.")
    workflow = load_workflow(options.workflow, options.settings, options.to)
    order = Order(workflow, options.output, getattr(options, "server", [SERVER]), limits)
    board = Board(sys.stderr, silent=options.quiet)
    try:
        tasks = submit_files(_files(options.input), order, board)
    finally:
        board.close()
    return _describe(tasks, options.output)


def _files(given: Sequence[Path]) -> list[Path]:
    """The files themselves, and the videos in folders."""
    files: list[Path] = []
    for path in given:
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        videos = [file for file in inside if file == path or (mimetypes.guess_type(file.name)[0] or "")[:6] == "video/"]
        if not videos:
            raise SettingError(f"Expected videos in the folder {path}, found none; correct --input.")
        files += videos
    return files


def _describe(tasks: Sequence["Task"], output: Path) -> Outcome:
    values = [
        {
            "input": str(task.source),
            "state": task.state,
            "files": [str(output / name) for name in task.files],
            "server": task.server,
            "prompt_id": task.prompt_id,
            "tries": task.tries,
            "seconds": round(task.seconds, 3),
            "error": task.error,
        }
        for task in tasks
    ]
    failed = [task for task in tasks if task.state == "failed"]
    fresh = sum(task.fresh for task in tasks)
    before = len(tasks) - len(failed) - fresh
    count = f"{fresh} done" + (f", {before} were done before" if before else "")
    lines = [f"{output}: {count}" + (f", {len(failed)} failed:" if failed else "")]
    width = max((len(task.source.name) for task in failed), default=0)
    for task in failed:
        said = task.error.replace("\n", "\n" + " " * (width + 4))
        lines.append(f"  {task.source.name:<{width}}  {said}")
    return Outcome(values, "\n".join(lines), failed=bool(failed))


class Board:
    """What is going on: a line for each event, and one that is drawn over on a terminal, else now and then."""

    def __init__(self, stream: TextIO, silent: bool = False) -> None:
        self._stream, self._silent = stream, silent
        self._told: dict[str, str] = {}
        self._drawn = 0
        self._shown = time.monotonic()

    def __call__(self, tasks: Sequence["Task"]) -> None:
        """Show how the tasks stand."""
        if self._silent:
            return
        try:
            self._show(tasks)
        except OSError:  # nobody reads it any more: what is queued is waited for and fetched all the same
            self._silent = True
            mute(self._stream)

    def _show(self, tasks: Sequence["Task"]) -> None:
        for task in tasks:
            news = _news(task)
            if news and self._told.get(task.key, "") != news:
                self._told[task.key] = news
                self._print(f"{task.source.name}: {news}")
        now, text = time.monotonic(), printable(_summary(tasks))
        if self._stream.isatty():
            room = shutil.get_terminal_size().columns - 1
            self._stream.write("\r" + text[:room].ljust(self._drawn))
            self._drawn = min(len(text), room)
        elif now - self._shown >= _SECONDS_BETWEEN_LINES:
            self._shown = now
            self._print(text)
        self._stream.flush()

    def _print(self, text: str) -> None:
        """Write a line, over what was drawn last."""
        first, *rest = printable(text).split("\n")
        start = "\r" if self._drawn else ""
        self._stream.write("\n".join([start + first.ljust(self._drawn), *rest, ""]))
        self._drawn = 0

    def close(self) -> None:
        """End the line."""
        if self._drawn and not self._silent:
            self._stream.write("\n")


def _news(task: "Task") -> str:
    """What is worth a line of its own."""
    if task.state in ("queued", "running", "fetching"):
        return f"queued at {_short(task.server)}" + (f" again: {task.error}" if task.error else "")
    if task.state == "done":
        return f"done in {task.seconds:.0f} s, {', '.join(task.files)}" if task.fresh else "was done before"
    if task.state == "failed":
        return f"failed: {task.error}"
    return ""


def _summary(tasks: Sequence["Task"]) -> str:
    settled = sum(task.settled for task in tasks)
    busy = [
        f"{task.source.name}: {f'{task.doing} {task.done:.0f}/{task.total:.0f}' if task.total else task.doing} "
        f"({_short(task.server)})"
        for task in tasks
        if task.state == "running" and task.doing
    ]
    return " | ".join([f"{settled}/{len(tasks)}", *busy])


def _short(address: str) -> str:
    return address.partition("://")[2]
