"""What the targets of the diffusion systems begin with is whole: a target that always refuses would find nothing."""

from pathlib import Path

import pytest
from torch import nn

from textovsr.core.errors import UnknownCheckpointError
from textovsr.core.weights import find_files
from textovsr.core.weights_report import is_complete
from textovsr.models.registry import read_state_dict
from textovsr.models.sdatc.checkpoint import build_stage1, build_stage2
from textovsr.tests.helpers.sdatc import TINY, tiny_unet, tiny_vae

from .diffusion import NETWORKS, make_folders, stage_headers
from .headers import changed, write


@pytest.mark.parametrize("number", range(len(NETWORKS)))
def test_a_file_that_is_not_changed_is_read(number: int, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    header, read = NETWORKS[number][0](), NETWORKS[number][1]
    write(path, header)
    assert isinstance(read(path), nn.Module)
    write(path, changed(header, b"\0\0\0\0"))  # without its first tensor
    with pytest.raises(UnknownCheckpointError):
        read(path)


def test_stages_that_are_not_changed_are_read(tmp_path: Path) -> None:
    first, second = stage_headers()
    write(tmp_path / "1.safetensors", first)
    write(tmp_path / "2.safetensors", second)
    build_stage1(read_state_dict(tmp_path / "1.safetensors"), TINY, tiny_unet())
    build_stage2(read_state_dict(tmp_path / "2.safetensors"), TINY, tiny_vae())


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("choice", range(6))
def test_files_that_are_not_changed_are_found(
    choice: int, place: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    system, folders = make_folders(tmp_path, bytes([choice, place, 255]))
    assert is_complete(find_files(system, folders)) or (system.variant, place) in (("heavy", 2), ("light", 1))
