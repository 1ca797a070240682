"""Runs ``limited.py`` in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

Ends = dict[str, dict[str, str]]


def run_limited(*arguments: object) -> Ends:
    """How every file ended, by its name; fails if one ended the process.

    All threads share an arena of the allocator: each of its own reserves 64 MB, which on a machine of many cores would
    be all that is allowed.
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).with_name("limited.py")), *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{lines[-1:]} ended the process: {done.returncode} {done.stderr}"
    return {line["name"]: line for line in lines if isinstance(line, dict)}
