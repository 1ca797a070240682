"""Fetching a model with huggingface_hub itself, from a server of this test that speaks as much of its language."""

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from textovsr.core.errors import DamagedWeightsError, DiskFullError, SettingError, WeightsNotFoundError
from textovsr.core.text import vlm_download
from textovsr.core.text.vlm_download import download_vlm, plan_download
from textovsr.core.text.vlm_folders import list_vlms
from textovsr.tests.helpers.web import serving

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "author/tiny-vlm"
CONFIG = json.dumps({"architectures": ["LlavaForConditionalGeneration"], "vision_config": {}}).encode()


class Hub(ThreadingHTTPServer):
    """A server of one repository; ``told`` may differ from ``files``, as after an accident on the way."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {
            "config.json": CONFIG,
            "model.safetensors": bytes(range(256)) * 400,
            "pytorch_model.bin": b"pickle",
            "README.md": b"words",
            "original/params.json": b"{}",
        }
        self.told = dict(self.files)
        self.fetched: list[str] = []
        self.asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def listing(self) -> list[dict[str, object]]:
        return [{"rfilename": name, "size": len(data), **self.large(name, data)} for name, data in self.told.items()]

    @staticmethod
    def large(name: str, data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        return {"lfs": {"sha256": digest, "size": len(data), "pointerSize": 100}} if "safetensors" in name else {}

    def tree(self) -> list[dict[str, object]]:
        return [
            {"type": "file", "path": name, "oid": hashlib.sha1(data).hexdigest(), "size": len(data)}
            for name, data in self.told.items()
        ]


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked += 1
        if path.startswith(f"/api/models/{NAME}/tree/"):
            return self.send(json.dumps(self.server.tree()).encode(), "application/json", body)
        if path.startswith(f"/api/models/{NAME}"):
            values = {"id": NAME, "sha": COMMIT, "tags": ["license:mit"], "siblings": self.server.listing()}
            return self.send(json.dumps(values).encode(), "application/json", body)
        name = path.partition(f"/resolve/{COMMIT}/")[2]
        if name not in self.server.files:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if body:
            self.server.fetched.append(name)
        return self.send(self.server.files[name], "application/octet-stream", body)

    def send(self, data: bytes, kind: str, body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    with serving(server):
        yield server


def test_only_what_is_needed_arrives_and_is_a_model(hub: Hub, tmp_path: Path) -> None:
    told: list[str] = []
    folder = download_vlm(NAME, tmp_path / "LLM", told.append, endpoint=hub.url)
    assert folder == tmp_path / "LLM" / "tiny-vlm"
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    assert told[0] == f"downloading {NAME} (102.5 kB, licence: mit) to {folder}"
    assert list(list_vlms([tmp_path / "LLM"])) == ["tiny-vlm"]


def test_a_model_that_is_there_is_not_asked_for(hub: Hub, tmp_path: Path) -> None:
    download_vlm(NAME, tmp_path, endpoint=hub.url)
    asked = hub.asked
    download_vlm(NAME, tmp_path, endpoint=hub.url)
    assert hub.asked == asked


def test_an_interrupted_download_goes_on(hub: Hub, tmp_path: Path) -> None:
    weights = hub.files.pop("model.safetensors")
    with pytest.raises(WeightsNotFoundError, match=r"Expected to fetch author/tiny-vlm, .*what has arrived is kept"):
        download_vlm(NAME, tmp_path, endpoint=hub.url)
    assert list_vlms([tmp_path]) == {}  # half a model is none
    hub.files["model.safetensors"] = weights
    hub.fetched.clear()
    folder = download_vlm(NAME, tmp_path, endpoint=hub.url)
    assert hub.fetched == ["model.safetensors"]
    assert (folder / "model.safetensors").read_bytes() == weights


def test_another_content_is_refused_and_fetched_again(hub: Hub, tmp_path: Path) -> None:
    right = hub.files["model.safetensors"]
    hub.files["model.safetensors"] = right[::-1]
    with pytest.raises(DamagedWeightsError, match=r"model\.safetensors of author/tiny-vlm as its server described it"):
        download_vlm(NAME, tmp_path, endpoint=hub.url)
    assert list_vlms([tmp_path]) == {}
    hub.files["model.safetensors"] = right
    assert download_vlm(NAME, tmp_path, endpoint=hub.url).is_dir()


def test_it_may_be_cancelled(hub: Hub, tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download_vlm(NAME, tmp_path, check=stop, endpoint=hub.url)
    assert list_vlms([tmp_path]) == {}


def test_room_is_checked_first(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 10})
    monkeypatch.setattr(vlm_download.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(DiskFullError, match=r"free in .* for the model, found .* free some space"):
        download_vlm(NAME, tmp_path, endpoint=hub.url)
    assert hub.fetched == []


def test_a_plan_is_what_will_be_fetched(hub: Hub) -> None:
    plan = plan_download(NAME, hub.url)
    assert (plan.revision, plan.licence, plan.size) == (COMMIT, "mit", 102_400 + len(CONFIG))
    del hub.told["model.safetensors"]
    with pytest.raises(WeightsNotFoundError, match=r"\.safetensors in author/tiny-vlm, found none"):
        plan_download(NAME, hub.url)


@pytest.mark.parametrize(
    "name",
    ["tiny", "a/b/c", "../x", "a/..", "../..", "a/../../b", "http://x/y", "", "/a/b", "a/.", "a/.b", "./b", "C:\\a/b",
     "a/b\n", "a b/c"],
)  # fmt: skip
def test_names_are_checked(name: str) -> None:
    with pytest.raises(SettingError, match="Expected a repository such as"):
        plan_download(name)


@pytest.mark.parametrize("name", ["../evil.json", "/evil.json", "a/evil.json", "..\\evil.json", "C:\\evil.json"])
def test_a_server_names_no_place(name: str, hub: Hub, tmp_path: Path) -> None:
    hub.files[name] = hub.told[name] = b"{}"
    assert name not in [file.name for file in plan_download(NAME, hub.url).files]
    download_vlm(NAME, tmp_path / "LLM", endpoint=hub.url)
    assert not [path for path in tmp_path.rglob("*") if "evil" in path.name]


def test_nobody_there(hub: Hub) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"fetch author/nothing, .*put the model's folder into models/LLM"):
        plan_download("author/nothing", hub.url)
    with pytest.raises(WeightsNotFoundError, match="Expected to fetch"):
        plan_download(NAME, "http://127.0.0.1:9")
