"""Fixtures for every test: where the repository, the bundled clips and the host are."""

import os
import shutil
from pathlib import Path

import hypothesis
import pytest

from textovsr.tools.environment import BROWSERS

ROOT = Path(__file__).resolve().parent.parent

# A busy machine is no failure; all else stays as hypothesis has it here or in CI.
hypothesis.settings.register_profile(
    "patient", hypothesis.settings.default, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def webcam_clip() -> Path:
    """Real footage: Cinepak, 16 frames of 320x240, irregular timing, no sound."""
    return ROOT / "clips" / "webcam.avi"


@pytest.fixture(scope="session")
def phone_clip() -> Path:
    """Real footage made small: H.264, 41 frames of 320x180, variable frame rate, AAC sound."""
    return ROOT / "clips" / "phone.mp4"


@pytest.fixture(scope="session")
def comfyui() -> Path:
    """The folder of a real ComfyUI: COMFYUI_PATH, or the one that ``dev.py setup`` fetched."""
    folder = Path(os.environ.get("COMFYUI_PATH") or ROOT / ".textovsr" / "ComfyUI")
    if not (folder / "main.py").is_file():
        pytest.fail(f"Expected a ComfyUI in {folder}, found none; run python3 dev.py setup")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; without one the test is skipped, in CI it fails."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found and os.environ.get("CI"):
        pytest.fail("Expected Chromium in CI, found none: dev.py test installs it with apt-get")
    if not found:
        pytest.skip("no Chromium: install the package chromium to run the browser tests")
    return found
