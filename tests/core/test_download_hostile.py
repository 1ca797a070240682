"""Downloads from a server that means harm: where it sends one on, how much it says there is, and how much it sends."""

import hashlib
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from textovsr.core import download as module
from textovsr.core.download import RemoteFile, download
from textovsr.core.errors import DiskFullError, DownloadError
from textovsr.core.weights_download import ask
from textovsr.models.published import Place
from textovsr.tests.helpers.web import serving

CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Hostile(BaseHTTPRequestHandler):
    """Answers with ``server.headers`` and ``server.blocks``, or sends on to ``server.moved``."""

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._head(200, self.server.headers)  # type: ignore[attr-defined]

    def do_GET(self) -> None:
        plan: Any = self.server
        if plan.moved and self.path != "/here":
            self._head(302, {"Location": plan.moved})
            return
        self._head(plan.status, plan.headers)
        try:
            for block in plan.blocks:
                self.wfile.write(block)
        except OSError:
            plan.hung_up.set()

    def _head(self, code: int, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("no_proxy", "*")
    plan: Any = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    plan.status, plan.headers, plan.blocks, plan.moved, plan.hung_up = 200, {}, [CONTENT], "", threading.Event()
    with serving(plan) as address:
        plan.url = f"{address}/weights"
        yield plan


def get(file: RemoteFile, folder: Path) -> Path:
    return download(file, folder / "net.pt", pause=lambda _: None)


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://127.0.0.1/x", "FILE:///etc/hostname", "data:,x"])
def test_only_the_web_is_followed(place: str, server: Any, tmp_path: Path) -> None:
    server.moved = place
    with pytest.raises(DownloadError, match=r"not as safe|302|not allowed"):
        get(RemoteFile(server.url, ""), tmp_path)
    assert not (tmp_path / "net.pt").exists()


def test_the_web_is_followed(server: Any, tmp_path: Path) -> None:
    server.moved = server.url.replace("/weights", "/here")
    assert get(RemoteFile(server.url, SHA256), tmp_path).read_bytes() == CONTENT


def test_https_is_not_left() -> None:
    web, request = module._Web(), SimpleNamespace(full_url="https://a/b")
    with pytest.raises(OSError, match="not as safe"):
        web.redirect_request(request, None, 302, "Found", {}, "http://a/b")


def test_another_size_is_another_file(server: Any, tmp_path: Path) -> None:
    """Where no hash is known, the size is all there is to know it by."""
    server.headers = {"Content-Length": str(len(CONTENT))}
    for size in (1, len(CONTENT) - 1, len(CONTENT) + 1):
        with pytest.raises(DownloadError, match="got a server that has 7000"):
            get(RemoteFile(server.url, "", size), tmp_path)
    assert not (tmp_path / "net.pt").exists()
    assert get(RemoteFile(server.url, "", len(CONTENT)), tmp_path).read_bytes() == CONTENT


def test_more_than_there_should_be_is_not_taken(server: Any, tmp_path: Path) -> None:
    server.blocks = iter(lambda: bytes(1 << 16), None)
    with pytest.raises(DownloadError, match=r"Expected 7000 bytes at .*, got more"):
        get(RemoteFile(server.url, SHA256, len(CONTENT)), tmp_path)
    assert server.hung_up.wait(600)
    assert not list(tmp_path.glob("net*"))


def test_what_never_ends_leaves_room_on_the_disk(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.blocks = iter(lambda: bytes(1 << 16), None)
    part, room = tmp_path / "net.pt.part", 60_000_000
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=room - part.stat().st_size))
    with pytest.raises(DiskFullError, match="does not say how large it is"):
        get(RemoteFile(server.url, SHA256), tmp_path)
    assert part.stat().st_size < room
    assert not (tmp_path / "net.pt").exists()


@pytest.mark.parametrize("length", ["abc", "-5", "1e9", "9" * 5000, "\u00b2"])
def test_a_length_that_is_no_number_says_nothing(length: str, server: Any, tmp_path: Path) -> None:
    server.headers = {"Content-Length": length, "X-Linked-Size": length, "X-Linked-ETag": "../../x"}
    assert get(RemoteFile(server.url, SHA256), tmp_path).read_bytes() == CONTENT
    place = Place(page="", url=server.url, who="")
    assert (ask(place).size, ask(place).sha256) == (0, "")


def test_a_range_that_is_no_number_is_not_gone_on_from(server: Any, tmp_path: Path) -> None:
    (tmp_path / "net.pt.part").write_bytes(b"wea")
    server.status, server.headers = 206, {"Content-Range": f"bytes {'9' * 5000}-6999/7000"}
    assert get(RemoteFile(server.url, SHA256), tmp_path).read_bytes() == CONTENT


def test_a_name_that_a_server_gives_is_not_taken(server: Any, tmp_path: Path) -> None:
    server.headers = {"Content-Disposition": 'attachment; filename="../../evil.pt"'}
    get(RemoteFile(server.url, SHA256), tmp_path / "a" / "b")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["net.pt"]
