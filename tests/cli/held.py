"""``textovsr`` that waits where a test wants it: ``python -m textovsr.tests.cli.held WHERE NUMBER COMMAND ...``

The command is the real one, and can be interrupted, terminated and killed while it waits. It ends when its parent does.

WHERE is ``frame``: when so many frames are done and have been told of; or ``update``: after so many updates of a
network that is trained, before the last of them is counted and saved.
"""

import os
import sys
import time
from typing import Any

from textovsr import cli
from textovsr.cli.progress import ProgressLine


def main(where: str, number: int, arguments: list[str]) -> int:
    """Run a command line; returns its exit code."""
    {"frame": _hold_at_frame, "update": _hold_after_update}[where](number)
    return cli.main(arguments)


def _hold_at_frame(number: int) -> None:
    told = ProgressLine.__call__

    def tell(self: ProgressLine, progress: Any) -> None:
        told(self, progress)
        if progress.done >= number:
            _wait()

    ProgressLine.__call__ = tell  # type: ignore[method-assign]


def _hold_after_update(number: int) -> None:
    from textovsr.training.run import Run

    made, update = [0], Run.update

    def counted(self: Run) -> None:
        update(self)
        made[0] += 1
        if made[0] == number:
            _wait()

    Run.update = counted  # type: ignore[method-assign]


def _wait() -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.05)
    sys.exit("Nobody waits for this any more.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
