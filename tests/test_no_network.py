"""Nobody is told anything: what works on a video asks no server."""

import socket
from pathlib import Path
from typing import Any

import pytest

from textovsr import cli
from textovsr.tests.helpers.cli import make_video
from textovsr.tests.helpers.networks import save_tiny


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every name that is looked up and every address that is called; nobody answers."""
    found: list[Any] = []

    def refuse(*what: Any, **_: Any) -> Any:
        found.append(what)
        raise OSError("nobody answers")

    for owner, name in ((socket.socket, "connect"), (socket.socket, "connect_ex"), (socket, "getaddrinfo")):
        monkeypatch.setattr(owner, name, refuse)
    return found


def test_a_question_would_be_seen(asked: list[Any]) -> None:
    with pytest.raises(OSError, match="nobody"):
        socket.create_connection(("127.0.0.1", 9))
    assert asked


def test_a_video_is_worked_on_without_a_server(asked: list[Any], tmp_path: Path) -> None:
    """Restored with a caption, and described: each as it comes, without any setting."""
    video, weights = make_video(tmp_path / "a.mp4", (64, 64), 3), save_tiny(tmp_path / "tiny.safetensors")
    made = tmp_path / "made.mp4"
    assert cli.main(["upscale", str(video), str(made), "--weights", str(weights), "--caption", "a cat"]) == 0
    assert cli.main(["describe", str(video)]) == 0
    assert cli.main(["info", str(made)]) == 0
    assert asked == []
