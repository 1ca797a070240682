"""A ComfyUI of its own with tiny weights for every kind of node, and a pack that counts what it holds."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from textovsr.tests.soak.census import put_census
from textovsr.tests.soak.kinds import put_everything
from textovsr.tools.comfy_server import ComfyServer, comfy_server, prepare_base


@pytest.fixture(scope="module")
def server(
    comfyui: Path, root: Path, phone_clip: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComfyServer]:
    """A running ComfyUI, fresh for every file of tests: what an earlier one left would be counted."""
    base = prepare_base(tmp_path_factory.mktemp("soak"), root, [])
    put_census(base)
    put_everything(base, comfyui, phone_clip)
    with comfy_server(Path(sys.executable), comfyui, base, log=base / "comfyui.log") as running:
        yield running
