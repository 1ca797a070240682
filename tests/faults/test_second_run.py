"""A run that begins while another ends does not do the job again."""

import subprocess
import sys
from pathlib import Path

from textovsr import cli
from textovsr.tests.helpers.cli import environ, make_video
from textovsr.tests.helpers.networks import save_tiny

HELD = """
import sys
from textovsr import cli
from textovsr.core.alone import Alone

describe = Alone.describe

def held(*arguments):
    print("begun", flush=True)
    sys.stdin.readline()
    return describe(*arguments)

Alone.describe = held
sys.exit(cli.main(sys.argv[1:]))
"""
"""The command, which waits for a line after it has looked at the output and before it takes the lock."""


def test_what_is_finished_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    source, weights = make_video(tmp_path / "in.mp4"), save_tiny(tmp_path / "tiny.safetensors")
    output = tmp_path / "out.mp4"
    arguments = ["upscale", *map(str, (source, output, "--weights", weights)), "--quiet"]
    with subprocess.Popen(
        [sys.executable, "-c", HELD, *arguments],
        env=environ(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as second:
        assert second.stdout is not None
        assert second.stdout.readline() == "begun\n"
        assert cli.main(arguments) == 0
        finished = output.stat()
        _, errors = second.communicate("go on\n")
    assert second.returncode == 1, errors
    assert "out.mp4, which exists; add --overwrite to replace it" in errors
    assert output.stat() == finished
    assert {path.name for path in tmp_path.iterdir()} == {source.name, weights.name, output.name}
