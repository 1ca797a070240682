"""Downloads against a server of our own: cut, resumed, changed, refused, cancelled, and too large for the disk."""

import hashlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from textovsr.core.download import RemoteFile, download
from textovsr.core.errors import (
    CancelledError,
    DiskFullError,
    DownloadError,
    JobRunningError,
    OutputExistsError,
    SettingError,
)
from textovsr.tests.helpers.web import serving

CONTENT = bytes(range(256)) * 12_000  # 3 MB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """What the server does: cut ``cuts`` answers after so many bytes, then all is well; codes come before that."""

    url: str = ""
    content: bytes = CONTENT
    ranges: bool = True
    length: bool = True
    cuts: list[int] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)
    sent: int = 0

    @property
    def file(self) -> RemoteFile:
        return RemoteFile(self.url, SHA256)


class Handler(BaseHTTPRequestHandler):
    """Answers from ``server.plan``."""

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        plan: Server = self.server.plan  # type: ignore[attr-defined]
        wanted = self.headers.get("Range")
        plan.asked.append(wanted)
        if plan.codes:
            self.send_error(plan.codes.pop(0))
            return
        first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and plan.ranges else 0
        if first >= len(plan.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(plan.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = plan.content[first:]
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(plan.content) - 1}/{len(plan.content)}")
        if plan.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        body = body[: plan.cuts.pop(0)] if plan.cuts else body
        plan.sent += len(body)
        self.wfile.write(body)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server() -> Iterator[Server]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving(http) as address:
        http.plan = Server(f"{address}/weights")  # type: ignore[attr-defined]
        yield http.plan  # type: ignore[attr-defined]


def no_pause(seconds: float) -> None:
    assert seconds > 0


def only(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_and_its_progress_is_told(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    target = tmp_path / "new" / "weights.pt"
    assert download(server.file, target, lambda done, total: seen.append((done, total))) == target
    assert target.read_bytes() == CONTENT
    assert only(target.parent) == ["weights.pt"]
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(seen) > 2


def test_what_is_there_is_not_asked_for(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(CONTENT)
    download(server.file, tmp_path / "weights.pt")
    assert server.asked == []


def test_something_else_under_the_name_is_left_alone(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"mine")
    with pytest.raises(OutputExistsError, match="got something else; rename or delete"):
        download(server.file, tmp_path / "weights.pt")
    assert (tmp_path / "weights.pt").read_bytes() == b"mine"


def test_a_connection_that_is_cut_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.cuts = [1_000_000, 1, 0, 500_000]
    download(server.file, tmp_path / "weights.pt", pause=no_pause)
    assert (tmp_path / "weights.pt").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000000-", "bytes=1000001-", "bytes=1000001-", "bytes=1500001-"]
    assert server.sent == len(CONTENT)


def test_the_next_run_goes_on_after_a_failed_one(server: Server, tmp_path: Path) -> None:
    server.cuts = [1_000_000] + [0] * 6
    with pytest.raises(DownloadError, match=r"1\.0 MB of 3\.1 MB came and are kept in .*it goes on where it stopped"):
        download(server.file, tmp_path / "weights.pt", pause=no_pause)
    assert only(tmp_path) == ["weights.pt.part"]
    server.asked.clear()
    download(server.file, tmp_path / "weights.pt")
    assert server.asked == ["bytes=1000000-"]
    assert only(tmp_path) == ["weights.pt"]


def test_a_server_without_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    server.cuts, server.ranges = [1_000_000], False
    download(server.file, tmp_path / "weights.pt", pause=no_pause)
    assert (tmp_path / "weights.pt").read_bytes() == CONTENT


@pytest.mark.parametrize("known", [True, False])
def test_a_whole_part_is_taken_as_it_is(server: Server, tmp_path: Path, known: bool) -> None:
    """A crash between the last byte and the renaming."""
    (tmp_path / "weights.pt.part").write_bytes(CONTENT)
    download(RemoteFile(server.url, SHA256, len(CONTENT) if known else 0), tmp_path / "weights.pt", pause=no_pause)
    assert only(tmp_path) == ["weights.pt"]
    assert server.sent == 0


@pytest.mark.parametrize("left", [b"x" * 1000, b"x" * len(CONTENT), b"x" * (len(CONTENT) + 1)])
def test_a_part_of_something_else_is_thrown_away(server: Server, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "weights.pt.part").write_bytes(left)
    download(server.file, tmp_path / "weights.pt", pause=no_pause)
    assert (tmp_path / "weights.pt").read_bytes() == CONTENT


def test_a_server_that_does_not_say_how_much_is_believed_by_the_hash(server: Server, tmp_path: Path) -> None:
    server.length = False
    download(server.file, tmp_path / "weights.pt")
    assert (tmp_path / "weights.pt").read_bytes() == CONTENT


def test_a_wrong_content_is_refused_and_deleted(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(DownloadError, match=f"SHA-256 {SHA256}.* got one with .*deleted"):
        download(server.file, tmp_path / "weights.pt")
    assert only(tmp_path) == []


@pytest.mark.parametrize("code", [404, 403, 401])
def test_a_refusal_is_told_at_once(server: Server, tmp_path: Path, code: int) -> None:
    server.codes = [code]
    with pytest.raises(DownloadError, match=f"the server says {code}"):
        download(server.file, tmp_path / "weights.pt", pause=no_pause)
    assert len(server.asked) == 1


def test_a_busy_server_is_asked_again_with_longer_pauses(server: Server, tmp_path: Path) -> None:
    pauses: list[float] = []
    server.codes = [503, 429, 500]
    download(server.file, tmp_path / "weights.pt", pause=pauses.append)
    assert pauses == sorted(pauses)
    assert len(set(pauses)) == len(pauses) == 3
    server.codes, target = [503] * 99, tmp_path / "other.pt"
    with pytest.raises(DownloadError, match="the server says 503"):
        download(server.file, target, pause=no_pause)


def test_nobody_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"refused.*get the file with a browser and name it weights\.pt"):
        download(RemoteFile("http://127.0.0.1:9/x", SHA256), tmp_path / "weights.pt", pause=no_pause)


def test_cancelling_keeps_what_came(server: Server, tmp_path: Path) -> None:
    def stop(done: int, total: int | None) -> None:
        raise CancelledError

    with pytest.raises(CancelledError):
        download(server.file, tmp_path / "weights.pt", stop)
    kept = (tmp_path / "weights.pt.part").stat().st_size
    assert 0 < kept < len(CONTENT)
    download(server.file, tmp_path / "weights.pt")
    assert server.asked[-1] == f"bytes={kept}-"


def test_a_disk_without_room_is_told_before_anything_is_written(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=len(CONTENT)))
    with pytest.raises(DiskFullError, match=r"free in .* for a download"):
        download(server.file, tmp_path / "weights.pt")
    assert (tmp_path / "weights.pt.part").stat().st_size == 0


def test_two_runs_do_not_write_the_same_file(server: Server, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".weights.pt.lock"), pytest.raises(JobRunningError, match="another run does"):
        download(server.file, tmp_path / "weights.pt")
    assert server.asked == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows deletes no lock that is held")
def test_a_run_that_begins_as_another_ends_is_alone_too(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, following, release = tmp_path / "weights.pt", FileLock(tmp_path / ".weights.pt.lock"), FileLock.release

    def release_to_the_next(lock: FileLock, force: bool = False) -> None:
        monkeypatch.setattr(FileLock, "release", release)
        release(lock, force)
        following.acquire(timeout=0)

    monkeypatch.setattr(FileLock, "release", release_to_the_next)
    download(server.file, target)
    target.unlink()
    with following, pytest.raises(JobRunningError, match="another run does"):
        download(server.file, target)


@pytest.mark.parametrize("url", ["file:///etc/hosts", "ftp://host/file", "weights.pt"])
def test_only_the_web_is_asked(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="an address with https"):
        download(RemoteFile(url, SHA256), tmp_path / "weights.pt")
