"""What a user gets: the wheel, the requirements, and a root package that imports nothing."""

import ast
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

HEAVY = ("torch", "av", "numpy", "transformers", "open_clip", "comfy")
USERS_OWN = {"torch", "torchvision", "torchaudio"}


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def source(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tracked and the new files, so that building leaves nothing in the repository."""
    copy = tmp_path_factory.mktemp("source")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (root / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((root / name).read_bytes())
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this state of the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def names(requirements: list[str]) -> dict[str, str]:
    """Requirement strings by their package's name."""
    return {re.split(r"[<>=!~;\[ ]", line, maxsplit=1)[0].lower().replace("-", "_"): line for line in requirements}


def requirement_lines(file: Path) -> list[str]:
    """The requirements of a file, without comments."""
    lines = (line.partition("#")[0].strip() for line in file.read_text("utf-8").splitlines())
    return [line for line in lines if line]


def test_the_wheel_imports_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "clean"
    venv.create(environment, with_pip=False)
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True, capture_output=True)
    code = "import textovsr, textovsr.core.errors, textovsr.core.config; print(textovsr.__file__)"
    run = subprocess.run([python, "-I", "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert Path(run.stdout.strip()).is_relative_to(environment)


def test_the_wheel_carries_everything_that_is_not_python(wheel: Path, source: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    folders = ("js", "locales", "workflows", "subgraphs", "clips", "models/weights")
    wanted = [path for folder in folders for path in (source / folder).rglob("*") if path.is_file()]
    data = {f"textovsr/{path.relative_to(source).as_posix()}" for path in wanted if path.suffix != ".py"}
    assert data
    assert data <= inside


def test_the_wheel_carries_every_module(wheel: Path, source: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    modules = [path for folder in ("core", "models", "nodes", "training") for path in (source / folder).rglob("*.py")]
    missing = {f"textovsr/{path.relative_to(source).as_posix()}" for path in modules} - inside
    assert not missing, "name their folders under [tool.setuptools] packages in pyproject.toml"


def test_the_wheel_carries_no_tests_and_no_tools(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if re.match(r"textovsr/(tests|tools|benchmarks)/", name)]


def test_importing_the_package_imports_nothing_else() -> None:
    code = f"import sys, textovsr; print([name for name in {HEAVY!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "[]"


def test_the_root_imports_only_inside_its_function(root: Path) -> None:
    tree = ast.parse((root / "__init__.py").read_text("utf-8"))
    assert not [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]


def test_the_public_surface_of_the_root() -> None:
    import textovsr

    ours = {name for name, value in vars(textovsr).items() if not isinstance(value, ModuleType)}
    assert {name for name in ours if not name.startswith("_")} == {"WEB_DIRECTORY", "comfy_entrypoint"}


def test_users_keep_their_own_torch(root: Path) -> None:
    assert not USERS_OWN & set(names(requirement_lines(root / "requirements.txt")))


def test_users_get_lower_bounds_only(root: Path) -> None:
    assert all(re.fullmatch(r"[\w-]+>=[\d.]+", line) for line in requirement_lines(root / "requirements.txt"))


def test_no_opencv(root: Path, project: dict[str, Any]) -> None:
    extras = [line for lines in project["project"]["optional-dependencies"].values() for line in lines]
    everything = requirement_lines(root / "requirements.txt") + project["project"]["dependencies"] + extras
    assert not [line for line in everything if "opencv" in line]


def test_requirements_and_project_ask_for_the_same(root: Path, project: dict[str, Any]) -> None:
    declared = names(project["project"]["dependencies"])
    declared.pop("torch")  # a wheel's user may have none yet; a ComfyUI user always has
    assert declared == names(requirement_lines(root / "requirements.txt"))


def test_the_development_environment_has_every_dependency(root: Path, project: dict[str, Any]) -> None:
    lists = [root / "requirements-dev.txt", root / "requirements-dev-nodeps.txt"]
    installed = set(names([line for file in lists for line in requirement_lines(file)])) | {"torch"}
    extras = [line for lines in project["project"]["optional-dependencies"].values() for line in lines]
    assert set(names(project["project"]["dependencies"] + extras)) <= installed


def test_the_web_folder_is_named_once(project: dict[str, Any]) -> None:
    import textovsr

    assert textovsr.WEB_DIRECTORY == "./js"
    assert "web" not in project["tool"]["comfy"]
