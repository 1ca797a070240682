"""ListVideos: which files it finds, what it calls them, and a real ComfyUI that does one after the other."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import pytest

from textovsr.tools.comfy_client import ComfyClient, PromptRejectedError, PromptResult
from textovsr.tools.comfy_server import ComfyServer


@pytest.fixture
def folder(host: ModuleType, webcam_clip: Path) -> Path:
    """A folder of the input folder with videos, and with what is none."""
    folder = Path(host.get_input_directory()) / "films"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("reel 10.avi", "reel 2.avi", "Reel 1.avi", ".hidden.avi", "more/end.avi", ".trash/old.avi"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(webcam_clip, folder / name)
    (folder / "notes.txt").write_text("none")
    return folder


def names(nodes: dict[str, Any], **settings: Any) -> list[str]:
    """What the files are called."""
    videos, found, count = nodes["OVSR_ListVideos"].execute(**{"folder": "films", "prefix": "", **settings}).args
    assert count == len(videos) == len(found)
    return list(found)


def test_videos_come_in_the_order_of_their_names(folder: Path, nodes: dict[str, Any]) -> None:
    assert names(nodes) == ["Reel 1", "reel 2", "reel 10"]
    assert names(nodes, subfolders=True) == ["more/end", "Reel 1", "reel 2", "reel 10"]
    assert names(nodes, first=1, limit=1, prefix="out/") == ["out/reel 2"]
    assert names(nodes, folder="films/more") == names(nodes, folder=str(folder / "more")) == ["end"]


def test_what_cannot_be_read_is_left_out(folder: Path, nodes: dict[str, Any]) -> None:
    (folder / "reel 2.avi").write_bytes(b"nothing")
    assert names(nodes) == ["Reel 1", "reel 10"]
    with pytest.raises(Exception, match=r"Expected a video that can be read, found none\.\nleft out: .*reel 2"):
        names(nodes, first=1, limit=1)


def test_nothing_left_is_an_error(folder: Path, nodes: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="from number 3 on in the folder films, found 3 in all"):
        names(nodes, first=3)


def test_a_changed_folder_is_looked_at_again(folder: Path, nodes: dict[str, Any]) -> None:
    look = nodes["OVSR_ListVideos"].fingerprint_inputs
    before = look("films")
    assert look("films") == before != look("films", first=1)
    shutil.copyfile(folder / "reel 2.avi", folder / "reel 3.avi")
    assert look("films") != before


@pytest.mark.parametrize("name", ["../elsewhere", "/", "films/../.."])
def test_folders_outside_are_refused(name: str, folder: Path, nodes: dict[str, Any]) -> None:
    assert "Expected a folder in" in nodes["OVSR_ListVideos"].validate_inputs(name)


def test_links_do_not_lead_out(folder: Path, nodes: dict[str, Any], webcam_clip: Path, tmp_path: Path) -> None:
    shutil.copyfile(webcam_clip, tmp_path / "secret.avi")
    (folder / "a link.avi").symlink_to(tmp_path / "secret.avi")
    (folder / "a good link.avi").symlink_to(folder / "reel 2.avi")
    assert names(nodes) == ["a good link", "Reel 1", "reel 2", "reel 10"]
    (folder / "away").symlink_to(tmp_path)
    assert "Expected a folder in" in nodes["OVSR_ListVideos"].validate_inputs("films/away")


def test_results_are_called_like_their_sources(
    server: ComfyServer,
    run_prompt: Callable[..., PromptResult],
    client: ComfyClient,
    phone_clip: Path,
) -> None:
    prompt = {
        "1": {"class_type": "OVSR_ListVideos", "inputs": {"folder": "batch of two", "prefix": "done/"}},
        "2": {"class_type": "OVSR_SaveVideo", "inputs": {"video": ["1", 0], "filename_prefix": ["1", 1]}},
    }
    with pytest.raises(PromptRejectedError, match="found none; make it, or correct the name"):
        client.submit(prompt)
    folder = server.base / "input" / "batch of two"
    folder.mkdir()
    for name in ("take 10.mp4", "take 9.mp4"):
        shutil.copyfile(phone_clip, folder / name)
    files = run_prompt(prompt).files()
    assert [file["filename"] for file in files] == ["take 9_00001_.mp4", "take 10_00001_.mp4"]
    for file in files:
        with av.open(str(server.base / "output" / file["subfolder"] / file["filename"])) as saved:
            assert sum(1 for _ in saved.decode(video=0)) == 41
    shutil.rmtree(folder)
