"""dev.py as a person meets it."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def dev(root: Path) -> ModuleType:
    """dev.py as a module."""
    spec = importlib.util.spec_from_file_location("dev", root / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_dev(root: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run dev.py as a process."""
    command = [sys.executable, str(root / "dev.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables})


def test_help_names_every_command(root: Path) -> None:
    run = run_dev(root, "--help")
    assert run.returncode == 0
    assert all(command in run.stdout for command in ("setup", "test", "demo", "serve"))


def test_an_unknown_option_is_an_error(root: Path) -> None:
    run = run_dev(root, "demo", "--imput", "clip.mp4")
    assert run.returncode == 2
    assert "--imput" in run.stderr


def test_arguments_after_test_go_to_pytest(dev: ModuleType) -> None:
    assert dev.parse(["test", "tests/test_dev.py", "-k", "venv", "-x"]).arguments == [
        "tests/test_dev.py", "-k", "venv", "-x",
    ]  # fmt: skip


@pytest.mark.parametrize("version", [(3, 10), (3, 11, 7), (3, 14, 0, "final", 0), (4, 0)])
def test_new_pythons_are_welcome(dev: ModuleType, version: tuple[int, ...]) -> None:
    assert dev.python_problem(version) is None


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 9, 18)])
def test_an_old_python_is_named(dev: ModuleType, version: tuple[int, ...]) -> None:
    assert f"got {version[0]}.{version[1]}" in dev.python_problem(version)


def test_a_missing_input_is_named_before_anything_is_set_up(root: Path) -> None:
    run = run_dev(root, "demo", "--input", "no/such/clip.mp4")
    assert run.returncode != 0
    assert "no/such/clip.mp4" in run.stderr


def test_a_wrong_comfyui_path_is_named(root: Path, tmp_path: Path) -> None:
    run = run_dev(root, "setup", COMFYUI_PATH=str(tmp_path))
    assert run.returncode == 2
    assert f"main.py in it, got {tmp_path}" in run.stderr
