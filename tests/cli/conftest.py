"""What the tests of the command line begin with: small videos, a tiny network."""

import subprocess
from pathlib import Path

import pytest

from textovsr import cli
from textovsr.cli.weights import WEIGHTS_FOLDERS
from textovsr.tests.helpers.cli import Run, command, environ, make_video
from textovsr.tests.helpers.networks import save_tiny


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a tiny network."""
    return save_tiny(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture
def process(tmp_path: Path) -> Run:
    """As a process: the whole truth, but it takes seconds to start."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments), cwd=tmp_path, env=environ(), capture_output=True, text=True, timeout=600
        )

    return run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """As a function."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(WEIGHTS_FOLDERS, raising=False)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        code = cli.main([str(argument) for argument in arguments])
        return subprocess.CompletedProcess(command(*arguments), code, *capsys.readouterr())

    return run


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Five frames of 32x16."""
    return make_video(tmp_path / "in.mp4")
