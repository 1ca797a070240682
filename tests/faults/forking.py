"""Runs jobs in processes that can be killed: ``python forking.py`` imports once, then forks a child for each line.

A line on standard input is a JSON object (the fields of ``forker.Order``, and ``told``); the child's process id is the
answer. With ``die_at`` the child sends itself ``signal`` before its so manyeth step on the disk; a whole run writes
into the file ``told`` what it did. An empty line then asks to wait for its end; the answer is its exit code, negative
for a signal. Until then the process id is the child's, even if it has ended. With ``wait_at`` the child waits to be
killed after so many frames; it is, if nobody is left to do it.
"""

import json
import os
import signal
import sys
import traceback
from pathlib import Path

from textovsr.core.config import EncodeConfig
from textovsr.core.job import Job, Progress, Report, Source
from textovsr.core.pipeline import restore_video
from textovsr.core.transcode import save_video
from textovsr.tests.helpers.restorers import Trail

STEPS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir")
"""What Python tells its audit hooks before it does it."""


def watch(order: dict[str, str]) -> list[str]:
    """Count the steps on the disk, and send ourselves a signal before one of them."""
    folder, die_at = str(Path(order["output"]).parent), int(order.get("die_at", 0))
    names: list[str] = []

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event not in STEPS or (event == "open" and not str(arguments[0]).startswith(folder)):
            return
        names.append(f"{event} {Path(str(arguments[0])).name}")
        if len(names) == die_at:
            os.kill(os.getpid(), signal.Signals[order["signal"]])

    sys.addaudithook(hook)
    return names


def waiting(frames: int) -> Report:
    """Reports to nobody; after so many frames of this run it waits for ever."""

    def report(progress: Progress) -> None:
        if progress.done - progress.resumed == frames:
            signal.pause()

    return report


def work(order: dict[str, str]) -> None:
    """Restore one video, or save it."""
    source, output = Source(Path(order["source"])), Path(order["output"])
    encode = EncodeConfig(codec=order["codec"], crf=18)  # type: ignore[arg-type]
    steps, resumed = watch(order), 0
    if order["task"] == "save":
        save_video(source, output, encode)
    else:
        restorer, job = Trail(seconds=float(order["seconds"])), Job(encode=encode, segment=8)
        resumed = restore_video(source, restorer, output, job, waiting(int(order["wait_at"]))).resumed
    Path(order["told"]).write_text(json.dumps({"resumed": resumed, "steps": steps}))


def main() -> None:
    """Serve orders until standard input ends."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                work(json.loads(line))
            except BaseException:  # noqa: BLE001  (a forked child must not return into the parent's loop)
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(child, flush=True)
        if not sys.stdin.readline():
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
