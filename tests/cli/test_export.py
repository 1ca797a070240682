"""``textovsr export``, and its file used by ``textovsr upscale`` in a process of its own."""

import json
import subprocess
from pathlib import Path

import av
import pytest

from textovsr import cli
from textovsr.tests.helpers.cli import command, environ, make_video
from textovsr.tests.helpers.networks import save_tiny


def test_weights_are_exported_twice_the_same_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save_tiny(Path("tiny.safetensors"))
    export = ["export", "out.safetensors", "--weights", "tiny.safetensors", "--frames", "2", "--most-loss", "9"]
    assert cli.main([*export, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["path"], told["precision"]) == ("out.safetensors", "int8")
    assert told["layers"] > 10
    assert told["bytes"] == Path("out.safetensors").stat().st_size
    assert cli.main(export) == 1
    assert "Expected a new file, got out.safetensors, which exists; add --overwrite" in capsys.readouterr().err
    first = Path("out.safetensors").read_bytes()
    assert cli.main([*export, "--overwrite"]) == 0
    assert Path("out.safetensors").read_bytes() == first
    assert cli.main([*export[:1], "tiny.safetensors", *export[2:], "--overwrite"]) == 1
    assert "Expected an output other than the input" in capsys.readouterr().err
    make_video(Path("in.mp4"))
    done = subprocess.run(
        command("upscale", "in.mp4", "out.mp4", "--weights", "out.safetensors"),
        cwd=tmp_path,
        env=environ(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    with av.open("out.mp4") as container:
        assert [(frame.width, frame.height) for frame in container.decode(video=0)] == [(128, 64)] * 5
