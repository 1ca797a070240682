"""Getting the files of a diffusion system from a server of our own, which tells hashes as Hugging Face does."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from textovsr.core.download import RemoteFile
from textovsr.core.errors import CancelledError, DownloadError, OutputExistsError, WeightsNotFoundError
from textovsr.core.weights_download import ask, get_files
from textovsr.models.published import DIFFVSR, Needed, Place, System
from textovsr.tests.helpers.published import write_needed


@dataclass
class Site:
    """Files by their names; ``linked`` tells of them before it sends one on, ``cut`` ends the first answer early."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    linked: bool = True
    told: str = ""
    cut: int = 0
    asked: list[str] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    """``/resolve/NAME`` sends on to ``/store/NAME``."""

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        site: Site = self.server.site  # type: ignore[attr-defined]
        site.asked.append(f"{self.command} {self.path}")
        _, place, name = self.path.split("/")
        if name not in site.files:
            self.send_error(404)
            return
        content = site.files[name]
        if place == "resolve" and site.linked:
            self.send_response(302)
            self.send_header("Location", f"/store/{name}")
            self.send_header("X-Linked-Size", str(len(content)))
            self.send_header("X-Linked-ETag", f'"{site.told or hashlib.sha256(content).hexdigest()}"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        first = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        if body:
            part, site.cut = content[first : first + site.cut if site.cut else None], 0
            self.wfile.write(part)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.site = found = Site(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def system(site: Site, tmp_path: Path) -> System:
    """DiffVSR, of small files that the site holds."""
    needs = []
    for needed in DIFFVSR.needs:
        small = replace(needed, shape=(), file=f"{needed.name}.safetensors")
        site.files[small.file] = write_needed(small, tmp_path / "source" / small.file).read_bytes()
        needs.append(replace(small, places=(Place("https://page", f"{site.url}/resolve/{small.file}"),)))
    return replace(DIFFVSR, needs=tuple(needs))


def test_everything_that_is_missing_comes(system: System, site: Site, tmp_path: Path) -> None:
    target, told = tmp_path / "target", {}
    mine = write_needed(system.needs[1], tmp_path / "mine" / "vae.safetensors")

    def watch(needed: Needed) -> Any:
        return lambda done, total: told.__setitem__(needed.name, (done, total))

    found = get_files(system, [tmp_path / "mine"], target, watch)
    assert [one.path for one in found] == [target / "denoiser.safetensors", mine, target / "text_encoder.safetensors"]
    assert sorted(path.name for path in target.iterdir()) == ["denoiser.safetensors", "text_encoder.safetensors"]
    size = len(site.files["denoiser.safetensors"])
    assert told["denoiser"] == (size, size)
    assert (target / "denoiser.safetensors").read_bytes() == site.files["denoiser.safetensors"]
    site.asked.clear()
    get_files(system, [target, tmp_path / "mine"], target)
    assert site.asked == []


def test_a_cut_connection_goes_on(system: System, site: Site, tmp_path: Path) -> None:
    site.cut = 100
    get_files(system, [], tmp_path / "target")
    assert (tmp_path / "target" / "denoiser.safetensors").read_bytes() == site.files["denoiser.safetensors"]


def test_what_the_server_told_is_checked(system: System, site: Site, tmp_path: Path) -> None:
    site.told = "0" * 64
    with pytest.raises(DownloadError, match="Expected a file with SHA-256 0000"):
        get_files(system, [], tmp_path / "target")
    assert not list((tmp_path / "target").iterdir())


def test_what_a_server_says_of_a_file(site: Site) -> None:
    site.files["a"] = b"content"
    sha256 = hashlib.sha256(b"content").hexdigest()
    place = Place("https://page", f"{site.url}/resolve/a")
    assert ask(place) == RemoteFile(place.url, sha256, 7)
    assert ask(replace(place, sha256="1" * 64)).sha256 == "1" * 64
    site.told = "an-etag-of-another-kind"
    assert ask(place) == RemoteFile(place.url, "", 7)
    site.linked = False
    assert ask(place) == RemoteFile(place.url, "", 0)
    assert ask(Place("https://page", "http://127.0.0.1:9/a")) == RemoteFile("http://127.0.0.1:9/a", "", 0)


def test_without_a_hash_the_size_is_checked(system: System, site: Site, tmp_path: Path) -> None:
    site.linked = False
    found = get_files(system, [], tmp_path / "target")
    assert all(one.path is not None for one in found)
    (tmp_path / "target" / "denoiser.safetensors").write_bytes(b"something else")
    site.linked, site.told = True, "no hash"
    with pytest.raises(OutputExistsError, match=rf"the file with {len(site.files['denoiser.safetensors'])} bytes"):
        get_files(system, [tmp_path / "target"], tmp_path / "target")


def test_what_no_program_can_fetch_is_named_after_the_rest(system: System, tmp_path: Path) -> None:
    by_hand = replace(system.needs[0], places=(Place("https://drive/of/the/authors", who="the authors"),))
    with pytest.raises(WeightsNotFoundError, match=r"with a browser from https://drive/of/the/authors \(the authors\)"):
        get_files(replace(system, needs=(by_hand, *system.needs[1:])), [], tmp_path)
    assert (tmp_path / "vae.safetensors").exists()


def test_cancelling_keeps_what_came(system: System, site: Site, tmp_path: Path) -> None:
    def stop(done: int, total: int | None) -> None:
        raise CancelledError

    with pytest.raises(CancelledError):
        get_files(system, [], tmp_path / "target", lambda needed: stop)
    assert (tmp_path / "target" / "denoiser.safetensors.part").stat().st_size > 0
