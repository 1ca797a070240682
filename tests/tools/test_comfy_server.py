"""A ComfyUI for development: its folders, its port, and what it says when it fails."""

import contextlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from textovsr.tools import comfy_client, comfy_server
from textovsr.tools.errors import DevError


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


def test_a_free_port_is_none_that_a_connection_gets_meanwhile() -> None:
    """A server binds it many seconds later; Linux gives connections 32768 and above, others 49152 and above."""
    ports = {comfy_server.free_port() for _ in range(20)}
    assert len(ports) > 1
    assert max(ports) < 32768


@contextlib.contextmanager
def listening() -> Iterator[int]:
    """Occupy a port."""
    with socket.socket() as listener:
        listener.bind((comfy_server.HOST, comfy_server.free_port()))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_server_that_ends_at_once_is_an_error_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("raise SystemExit('cannot start: no such device')", "utf-8")
    log = tmp_path / "log"
    start = comfy_server.comfy_server(Path(sys.executable), tmp_path, tmp_path, log=log)
    with pytest.raises(DevError, match="no such device"), start:
        pass


def test_a_rejected_prompt_is_told_node_by_node() -> None:
    error = {"message": "Value not in list", "details": "weights: 'x' not in ['y']"}
    rejected = comfy_client.PromptRejectedError(
        {"error": {"message": "Prompt outputs failed validation", "details": ""},
         "node_errors": {"2": {"class_type": "OVSR_TextOVSRUpscale", "errors": [error]}}}
    )  # fmt: skip
    assert "OVSR_TextOVSRUpscale (node 2): Value not in list: weights: 'x' not in ['y']" in str(rejected)
