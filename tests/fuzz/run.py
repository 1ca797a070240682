"""Coverage-guided fuzzing of one target with atheris: ``python tests/fuzz/run.py TARGET --seconds N``.

It begins with the seeds and the kept corpus, and ends at the first input that makes the target raise, run for longer
than ``--patience`` seconds or take more than 3 GB: that input is written into the folder ``--found``, which keeps what
covers something new as well. See tests/fuzz/README.md.
"""

import argparse
import importlib
import logging
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import atheris

_OURS = ("textovsr.core", "textovsr.models", "textovsr.tests.fuzz")
_MEGABYTES = 3000


def main() -> None:
    """Fuzz until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--patience", type=int, default=20, help="seconds that one input may take")
    parser.add_argument("--found", type=Path, help="a folder for what is found; nothing keeps only a failure")
    parser.add_argument("--longest", type=int, default=8192, help="bytes of an input")
    options = parser.parse_args()
    logging.disable()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="textovsr-seeds-") as scratch:
        first = Path(scratch)
        target = _prepared(options.target, first)
        found = options.found or first / "found"
        found.mkdir(parents=True, exist_ok=True)
        kept = Path(__file__).parent / "corpus" / options.target
        limits = {
            "max_total_time": options.seconds,
            "timeout": options.patience,
            "rss_limit_mb": _MEGABYTES,
            "max_len": options.longest,
            "print_final_stats": 1,
        }
        arguments = [f"-{name}={value}" for name, value in limits.items()]
        folders = [str(folder) for folder in (found, first, kept) if folder.is_dir()]
        atheris.Setup([sys.argv[0], *arguments, f"-artifact_prefix={found.parent}/failed-", *folders], target)
        atheris.Fuzz()


def _prepared(name: str, folder: Path) -> Callable[[bytes], None]:
    """A target that has seen its seeds, which are written into a folder.

    What is imported only when it is used has to be seen by atheris too, and takes longer than a thousand inputs.
    """
    with atheris.instrument_imports(include=list(_OURS), enable_loader_override=False):
        target: Callable[[bytes], None] = importlib.import_module("textovsr.tests.fuzz.targets").TARGETS[name]
        for owner, label, data in importlib.import_module("textovsr.tests.fuzz.seeds").seeds():
            if owner == name:
                (folder / label).write_bytes(data)
                target(data)
    return target


if __name__ == "__main__":
    main()
