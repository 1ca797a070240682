"""Runs jobs in processes that can be killed: ``python forking.py`` imports once, then forks a child for each line.

A line on standard input is a JSON object (``source``, ``output``, ``seconds``, ``codec``); the child's process id is
the answer. An empty line then asks to wait for its end; the answer is its exit code, negative for a signal. Until then
the process id is the child's, even if it has ended.
"""

import json
import os
import sys
import traceback
from pathlib import Path

from textovsr.core.config import EncodeConfig
from textovsr.core.job import Job, Source
from textovsr.core.pipeline import restore_video
from textovsr.tests.helpers.restorers import Trail


def work(order: dict[str, str]) -> None:
    """Restore one video."""
    job = Job(encode=EncodeConfig(codec=order["codec"], crf=18), segment=8)  # type: ignore[arg-type]
    restorer = Trail(seconds=float(order["seconds"]))
    restored = restore_video(Source(Path(order["source"])), restorer, Path(order["output"]), job, lambda _: None)
    Path(order["output"]).with_suffix(".json").write_text(json.dumps({"resumed": restored.resumed}))


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
        sys.stdin.readline()
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
