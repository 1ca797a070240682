"""What the processes that make training data begin with."""

import sys
from types import TracebackType


def begin(number: int) -> None:
    """Say nothing when a batch is not taken: a run that is stopped while it takes one says so itself.

    PyTorch hands batches over through a thread of this process, which would print how its connection broke.

    Args:
        number: of the process.
    """
    usual = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, (ConnectionError, EOFError)):
            usual(kind, error, trace)

    sys.excepthook = hook
