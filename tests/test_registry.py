"""What the Comfy registry asks for, and what its archive of the pack holds."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

LARGEST_ICON = 400
LARGEST_ARCHIVE = 60e6
VALIDATED_RULES = "S102,S307,E702"
"""What ``comfy node validate`` looks for."""


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))


def listed(root: Path, *options: str) -> set[str]:
    """Files of the repository that exist, as git lists them."""
    run = subprocess.run(["git", "ls-files", "-z", *options], cwd=root, capture_output=True, check=True)
    return {name for name in run.stdout.decode().split("\0") if name and (root / name).is_file()}


@pytest.fixture(scope="module")
def archived(root: Path) -> set[str]:
    """What the registry's archive holds: .comfyignore is read as git reads its own."""
    ours = listed(root, "--cached", "--others", "--exclude-standard")
    left_out = listed(root, "--cached", "--ignored", "--exclude-from=.comfyignore")
    return ours - left_out - listed(root, "--others", "--ignored", "--exclude-from=.comfyignore")


def test_every_module_and_every_file_of_the_pack_is_in_the_archive(
    root: Path, project: dict[str, Any], archived: set[str]
) -> None:
    ours = listed(root, "--cached", "--others", "--exclude-standard")
    packages = {name.partition(".")[2].replace(".", "/") for name in project["tool"]["setuptools"]["packages"]}
    modules = {name for name in ours if name.endswith(".py") and name.rpartition("/")[0] in packages} - {"dev.py"}
    folders = ("js/", "locales/", "workflows/", "subgraphs/", "clips/", "models/weights/", "training/configs/")
    data = {name for name in ours if name.startswith(folders)}
    needed = {"LICENSE", "NOTICE", "README.md", "pyproject.toml", "requirements.txt", "docs/training.md"}
    assert sorted((modules | data | needed) - archived) == []


def test_nothing_in_the_archive_imports_what_is_left_out(root: Path, archived: set[str]) -> None:
    missing = []
    for name in sorted(name for name in archived if name.endswith(".py")):
        for node in ast.walk(ast.parse((root / name).read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                folder = Path(name).parents[node.level - 1]
                module = folder.joinpath(*(node.module or "").split("."))
                if not {f"{module.as_posix()}.py", (module / "__init__.py").as_posix()} & archived:
                    missing.append(f"{name} imports {module}")
    assert missing == []


def test_the_archive_holds_only_what_a_user_needs(root: Path, archived: set[str]) -> None:
    assert not [name for name in archived if name.startswith(("tests/", "tools/", "benchmarks/", ".", "docs/images/"))
                and name != ".comfyignore"]  # fmt: skip
    assert sum((root / name).stat().st_size for name in archived) < LARGEST_ARCHIVE


def test_the_validators_rules_hold_without_exceptions(root: Path) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    command = [ruff, "check", ".", "--select", VALIDATED_RULES, "--ignore-noqa", "--no-cache", "--quiet"]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_the_project_keeps_these_rules_on(project: dict[str, Any]) -> None:
    chosen = tuple(project["tool"]["ruff"]["lint"]["select"])
    assert all(rule.startswith(chosen) for rule in VALIDATED_RULES.split(","))
    assert not [rule for rule in VALIDATED_RULES.split(",") if rule in project["tool"]["ruff"]["lint"]["ignore"]]


def test_the_registry_knows_the_project(project: dict[str, Any]) -> None:
    described, comfy = project["project"], project["tool"]["comfy"]
    assert re.fullmatch(r"[a-z][a-z0-9]*([-_.][a-z0-9]+)*", described["name"])
    assert "comfy" not in described["name"]
    assert len(described["name"]) < 100
    assert re.fullmatch(r"\d+\.\d+\.\d+", described["version"]), "the registry takes X.Y.Z alone"
    assert described["urls"]["Repository"].startswith("https://github.com/")
    assert comfy["PublisherId"]
    assert comfy["DisplayName"]
    assert re.fullmatch(r">=\d+\.\d+\.\d+", comfy["requires-comfyui"])


def size_of(root: Path, project: dict[str, Any], key: str) -> tuple[int, int]:
    """Width and height of the picture that an address in pyproject.toml will show."""
    address = project["tool"]["comfy"][key]
    repository = project["project"]["urls"]["Repository"].removeprefix("https://github.com/")
    start = f"https://raw.githubusercontent.com/{repository}/main/"
    assert address.startswith(start)
    with Image.open(root / address.removeprefix(start)) as picture:
        return picture.size


def test_the_icon_is_square_and_small(root: Path, project: dict[str, Any]) -> None:
    width, height = size_of(root, project, "Icon")
    assert width == height <= LARGEST_ICON


def test_the_banner_is_21_to_9(root: Path, project: dict[str, Any]) -> None:
    width, height = size_of(root, project, "Banner")
    assert width * 9 == height * 21


def test_a_new_version_is_published(root: Path) -> None:
    workflow = yaml.safe_load((root / ".github" / "workflows" / "publish.yml").read_text("utf-8"))
    assert workflow[True] == {"workflow_dispatch": None, "push": {"branches": ["main"], "paths": ["pyproject.toml"]}}
    steps = workflow["jobs"]["publish"]["steps"]
    (action,) = (step for step in steps if step.get("uses", "").startswith("Comfy-Org/publish-node-action@"))
    assert action["with"]["personal_access_token"] == "${{ secrets.REGISTRY_ACCESS_TOKEN }}"
    (check,) = (step for step in steps if step.get("id") == "version")
    assert f"steps.{check['id']}.outputs.publish" in action["if"]


@pytest.mark.skipif(sys.platform == "win32" or sys.version_info < (3, 11), reason="the workflow's shell and tomllib")
@pytest.mark.parametrize(("now", "before", "event", "published"), [
    ("0.2.0", "0.1.0", "push", True),
    ("0.1.0", "0.1.0", "push", False),
    ("0.1.0", "0.1.0", "workflow_dispatch", True),
])  # fmt: skip
def test_only_a_new_version_is_published(
    now: str, before: str, event: str, published: bool, root: Path, tmp_path: Path
) -> None:
    """The workflow's own shell, in a repository of two commits."""
    workflow = yaml.safe_load((root / ".github" / "workflows" / "publish.yml").read_text("utf-8"))
    (check,) = (step for step in workflow["jobs"]["publish"]["steps"] if step.get("id") == "version")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    subprocess.run([*git, "init", "-q"], cwd=tmp_path, check=True)
    for place, version in enumerate((before, now)):
        (tmp_path / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n# {place}\n', "utf-8")
        subprocess.run([*git, "add", "."], cwd=tmp_path, check=True)
        subprocess.run([*git, "commit", "-qm", version], cwd=tmp_path, check=True)
    output = tmp_path / "output"
    output.touch()
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "BEFORE": "HEAD^" if event == "push" else ""}
    environment |= {"GITHUB_OUTPUT": str(output), "GITHUB_EVENT_NAME": event}
    subprocess.run(["bash", "-e", "-c", check["run"]], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert output.read_text() == ("publish=yes\n" if published else "")
