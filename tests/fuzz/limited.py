"""Does something with little memory and time: ``python limited.py bombs FOLDER``, ``python limited.py corpus``.

Prints a line for every file: a JSON object with its ``name``, the name of the ``error`` it ended in if any, and
``what`` was said. A file that takes too long ends the process; its name then stands in the last line, alone.
"""

import json
import logging
import resource
import signal
import sys
import warnings
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import psutil

from textovsr.core.video.probe import probe
from textovsr.core.video.reader import VideoReader

_MEMORY = 1 << 30
_SECONDS = 120  # of the processor, for one file: idle machines need two
_FRAMES = 8
CORPUS = Path(__file__).parent / "corpus"


def look(path: Path) -> str:
    """Describe a video and read its beginning."""
    probe(path)
    with VideoReader(path) as reader:
        return f"{sum(1 for _ in islice(reader, _FRAMES))} frames"


def tell(name: str, work: Callable[[], object]) -> None:
    """Do it, and say how it ended."""
    print(json.dumps(name), flush=True)
    used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    resource.setrlimit(resource.RLIMIT_CPU, (used + _SECONDS, resource.RLIM_INFINITY))
    try:
        said = {"what": str(work())}
    except Exception as error:  # noqa: BLE001  (the tests judge it)
        said = {"error": type(error).__name__, "what": str(error)}
    print(json.dumps({"name": name, **said}), flush=True)


def main(what: str, folder: str = "") -> None:
    """Limit this process, and begin."""
    logging.disable()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    if what == "bombs":
        limit_memory()
        for path in sorted(Path(folder).iterdir()):
            tell(path.name, lambda path=path: look(path))
        return
    from textovsr.tests.fuzz.targets import TARGETS

    limit_memory()
    for path in sorted(CORPUS.glob("*/*")):
        content = path.read_bytes()
        tell(f"{path.parent.name}/{path.name}", lambda path=path, content=content: TARGETS[path.parent.name](content))


def limit_memory() -> None:
    """Allow so much more than there is in use."""
    limit = psutil.Process().memory_info().vms + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    main(*sys.argv[1:])
