"""What we show on the canvas, as eslint sees it."""

import shutil
import subprocess
from pathlib import Path

import pytest

LOOK = ("node", "node_modules/eslint/bin/eslint.js", "--max-warnings", "0", "--config", "eslint.config.js")


@pytest.fixture
def eslint(root: Path) -> Path:
    """The repository, with eslint in it."""
    if not shutil.which("node") or not (root / LOOK[1]).is_file():
        pytest.skip("no eslint: python3 dev.py test installs it where there is an npm")
    return root


def test_eslint_is_content(eslint: Path) -> None:
    run = subprocess.run([*LOOK, "js"], cwd=eslint, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("document.body.innerHTML = location.hash;", "no-restricted-properties"),
        ("export const a = unknown;", "no-undef"),
        ("const never = 1;", "no-unused-vars"),
        ("console.log(1);", "no-console"),
    ],
)
def test_it_finds_what_is_wrong(code: str, rule: str, eslint: Path) -> None:
    run = subprocess.run(
        [*LOOK, "--stdin", "--stdin-filename", "js/wrong.js"], cwd=eslint, input=code, capture_output=True, text=True
    )
    assert run.returncode == 1
    assert rule in run.stdout
