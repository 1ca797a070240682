"""What is tested in the browser, again on the newest front end: ``pytest -m newest_front_end tests/browser``."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from textovsr.tools.comfy_server import FRONT_END

PACKAGE = "comfyui-frontend-package"


@pytest.mark.newest_front_end
def test_the_newest_front_end(chromium: str, root: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(tmp_path), PACKAGE]
    subprocess.run(pip, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "unpacked")
    (static,) = (tmp_path / "unpacked").glob("*/static")
    variables = {**os.environ, FRONT_END: str(static)}
    again = [Path(sys.executable).with_name("pytest"), "tests/browser", "-m", "not newest_front_end", "-q"]
    run = subprocess.run(again, cwd=root, env=variables, capture_output=True, text=True)
    assert run.returncode == 0, f"{wheel.stem}\n{run.stdout[-20_000:]}"
