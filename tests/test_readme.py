"""What the README tells people to type, typed."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from textovsr.cli import build_parser
from textovsr.core.config import EncodeConfig
from textovsr.core.pipeline import Source
from textovsr.core.transcode import save_video

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = [line for block in re.findall(r"```\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
OURS = [line for line in COMMANDS if line.startswith("textovsr ")]


def test_the_first_two_commands_are_the_two() -> None:
    assert COMMANDS[:2] == ["python3 dev.py demo", "python3 dev.py test"]


@pytest.mark.parametrize("line", OURS)
def test_the_command_line_understands_its_examples(line: str) -> None:
    build_parser().parse_args(shlex.split(line)[1:])


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(((?!http)[^)#]+)", README))))
def test_a_link_leads_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_the_demo_makes_a_video_and_a_picture(tmp_path: Path, phone_clip: Path) -> None:
    clip = tmp_path / "short.mp4"
    save_video(Source(phone_clip, 0.0, 0.1), clip, EncodeConfig())
    before = set((ROOT / "demo_output").glob("short*")) if (ROOT / "demo_output").exists() else set()
    command = [sys.executable, str(ROOT / "dev.py"), "demo", "--input", str(clip)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    made = set((ROOT / "demo_output").glob("short*")) - before
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        assert {path.suffix for path in made} == {".mp4", ".png"}
        assert all(path.stat().st_size > 1000 for path in made)
    finally:
        for path in made:
            path.unlink()
