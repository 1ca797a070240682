"""CompareVideos in a real ComfyUI: what it tells the canvas, and the route that gives single frames."""

import json
import os
import shutil
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from textovsr.core.job import Source
from textovsr.tests.helpers.clips import Clip, read_number, write_clip
from textovsr.tools.comfy_client import PromptResult
from textovsr.tools.comfy_server import ComfyServer

B_FRAMES = {"preset": "medium", "bf": "3", "g": "12", "crf": "10"}
UNEVEN = tuple(int(n * 40 + (n * n * 7) % 23) for n in range(50))
CLIPS = {
    "compare_constant.mp4": Clip(pts=range(50)),
    "compare_uneven.mkv": Clip(pts=UNEVEN, time_base=Fraction(1, 1000), width=128, height=64),
    "compare_b_frames.mp4": Clip(pts=range(50), options=B_FRAMES),
}
CONSTANT, UNEVEN_MKV, B_MP4 = CLIPS


@pytest.fixture(scope="module", autouse=True)
def _inputs(server: ComfyServer) -> None:
    for name, clip in CLIPS.items():
        write_clip(server.base / "input" / name, clip)


@pytest.fixture
def ask(server: ComfyServer) -> Callable[..., tuple[int, Any, Any]]:
    """Ask a route; returns status, headers and what came: a picture or JSON."""

    def get(route: str, **query: Any) -> tuple[int, Any, Any]:
        query = {"type": "input"} | query
        address = f"{server.address}/textovsr/{route}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(address, timeout=600) as answer:
                status, headers, data = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            status, headers, data = error.code, error.headers, error.read()
        if headers.get_content_type() == "application/json":
            return status, headers, json.loads(data)
        with Image.open(BytesIO(data)) as picture:
            return status, headers, picture.convert("RGB")

    return get


def number_on(picture: Image.Image) -> int:
    return read_number(np.asarray(picture).transpose(2, 0, 1) / 255)  # (H,W,C) -> (C,H,W)


def comparison(*loaders: dict[str, Any]) -> dict[str, Any]:
    """LoadVideo for each -> CompareVideos."""
    prompt = {str(k): {"class_type": "OVSR_LoadVideo", "inputs": inputs} for k, inputs in enumerate(loaders)}
    links = {name: [str(k), 0] for k, name in zip(range(len(loaders)), "abcd", strict=False)}
    return prompt | {"9": {"class_type": "OVSR_CompareVideos", "inputs": links}}


@pytest.mark.parametrize("name", CLIPS)
def test_the_route_gives_exactly_the_frame(name: str, ask: Callable[..., tuple[int, Any, Any]]) -> None:
    times = [pts * CLIPS[name].time_base for pts in CLIPS[name].pts]
    for k in (0, 49, 17, 18, 16, 3, 48):
        status, headers, picture = ask("frame", filename=name, frame=k)
        assert status == 200
        assert headers["Content-Type"] == "image/png"
        assert number_on(picture) == k
        assert picture.size == (CLIPS[name].width, CLIPS[name].height)
        assert float(headers["X-TextOVSR-Seconds"]) == pytest.approx(float(times[k] - times[0]), abs=1e-5)
        assert headers["X-TextOVSR-Frames"] == "50"
        _, _, found = ask("frame_number", filename=name, seconds=float(times[k] - times[0]))
        assert found["frame"] == k


def test_smaller_pictures_for_playing(ask: Callable[..., tuple[int, Any, Any]]) -> None:
    for kind in ("jpeg", "webp"):
        status, headers, picture = ask("frame", filename=UNEVEN_MKV, frame=21, format=kind, side=96)
        assert (status, headers["Content-Type"], picture.size) == (200, f"image/{kind}", (96, 48))
        assert number_on(picture) == 21


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"frame": 50}, 416, "Expected a frame from 0 to 49, got 50"),
        ({"frame": -1}, 416, "Expected a frame from 0 to 49, got -1"),
        ({"frame": "x"}, 400, "Expected a number for frame"),
        ({}, 400, "Expected a number for frame"),
        ({"frame": 0, "format": "bmp"}, 400, "Expected side >= 0 and one of png, jpeg, webp"),
        ({"frame": 0, "side": -4}, 400, "Expected side >= 0"),
        ({"frame": 0, "deinterlace": "maybe"}, 400, "Expected deinterlace out of auto, on, off"),
        ({"frame": 0, "filename": "nothing.mp4"}, 404, "found no nothing.mp4"),
        ({"frame": 0, "filename": ""}, 400, "Expected a filename"),
        ({"frame": 0, "filename": "x" * 5000}, 404, "is it still there"),
        ({"frame": 0, "type": "models"}, 400, "a type out of input, output, temp"),
        ({"frame": 0, "filename": "compare_text.mp4"}, 422, "Expected a video file, got compare_text.mp4"),
    ],
)
def test_what_cannot_be_had_is_said(
    query: dict[str, Any], status: int, words: str, ask: Callable[..., tuple[int, Any, Any]], server: ComfyServer
) -> None:
    (server.base / "input" / "compare_text.mp4").write_text("no video")
    answer = ask("frame", **({"filename": CONSTANT} | query))
    assert answer[0] == status
    assert words in answer[2]["error"]
    assert str(server.base) not in answer[2]["error"]


@pytest.mark.parametrize("seconds", ["nan", "inf", "", "1e"])
def test_a_time_has_to_be_one(seconds: str, ask: Callable[..., tuple[int, Any, Any]]) -> None:
    assert ask("frame_number", filename=CONSTANT, seconds=seconds)[0] == 400


def test_nothing_outside_the_hosts_folders_is_shown(
    ask: Callable[..., tuple[int, Any, Any]], server: ComfyServer, tmp_path: Path
) -> None:
    secret = write_clip(tmp_path / "secret.mp4", CLIPS[CONSTANT])
    beside = write_clip(server.base / "beside.mp4", CLIPS[CONSTANT])
    (server.base / "input" / "leads_out.mp4").symlink_to(secret)
    (server.base / "input" / "folder_out").symlink_to(tmp_path, target_is_directory=True)
    for query in (
        {"filename": "../beside.mp4"},
        {"filename": "beside.mp4", "subfolder": ".."},
        {"filename": str(secret)},
        {"filename": secret.name, "subfolder": str(tmp_path)},
        {"filename": "leads_out.mp4"},
        {"filename": secret.name, "subfolder": "folder_out"},
        {"filename": "/etc/passwd"},
    ):
        assert ask("frame", frame=0, **query)[0] == 403, query
    assert ask("frame", frame=0, filename="a\0b.mp4")[0] == 400
    assert beside.exists()


def test_the_node_tells_the_canvas_what_to_show(
    run_prompt: Callable[..., PromptResult], ask: Callable[..., tuple[int, Any, Any]]
) -> None:
    part = {"file": UNEVEN_MKV, "start": 0.4, "duration": 0.5, "deinterlace": "off"}
    result = run_prompt(comparison({"file": CONSTANT}, part, {"file": B_MP4}))
    a, b, c = result.outputs["9"]["videos"]
    assert a == {
        "name": "a",
        "filename": CONSTANT,
        "subfolder": "",
        "type": "input",
        "deinterlace": "auto",
        "first": 0,
        "start": 0.0,
        "frames": 50,
        "rate": 25.0,
        "width": 64,
        "height": 32,
        "aspect": 1.0,
    }
    expected = [k for k, pts in enumerate(UNEVEN) if 400 <= pts - UNEVEN[0] < 900]
    assert (b["first"], b["frames"]) == (expected[0], len(expected))
    assert b["start"] == pytest.approx((UNEVEN[expected[0]] - UNEVEN[0]) / 1000)
    assert (b["width"], b["height"], b["deinterlace"]) == (128, 64, "off")
    assert (c["name"], c["frames"]) == ("c", 50)
    _, _, picture = ask("frame", filename=b["filename"], frame=b["first"] + 2)
    assert number_on(picture) == expected[2]


def test_a_file_from_elsewhere_and_frames_in_memory_are_put_where_the_canvas_sees_them(
    nodes: dict[str, Any], host: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from comfy_api.latest import InputImpl, Types

    module: Any = sys.modules[nodes["OVSR_CompareVideos"].__module__]
    elsewhere = write_clip(tmp_path / "elsewhere.mp4", CLIPS[B_MP4])
    monkeypatch.setenv("TEXTOVSR_PATHS", str(tmp_path))
    loaded = nodes["OVSR_LoadVideo"].execute(str(elsewhere)).args[0]
    images = torch.rand(5, 32, 48, 3)
    components = Types.VideoComponents(images=images, audio=None, frame_rate=Fraction(10))
    made = InputImpl.VideoFromComponents(components)
    a, b = nodes["OVSR_CompareVideos"].execute(loaded, made).ui["videos"]
    assert (a["type"], a["subfolder"], a["frames"]) == ("temp", "textovsr", 50)
    assert (b["type"], b["frames"], b["rate"], b["width"]) == ("temp", 5, 10.0, 48)
    shown = module.pictures.open(Path(host.get_temp_directory()) / "textovsr" / b["filename"]).pixels(3)
    assert (shown.float() / 255 - images[3]).abs().max() < 2 / 255
    monkeypatch.setattr(os, "link", _no_links)
    copied = module._reachable(Source(elsewhere)).path
    assert copied.is_relative_to(host.get_temp_directory())
    assert len(module.pictures.open(copied).look()[1]) == 50
    shutil.rmtree(Path(host.get_temp_directory()) / "textovsr")


def test_frames_in_memory_whose_rate_went_through_a_float(nodes: dict[str, Any], host: ModuleType) -> None:
    """As Get Video Components and Create Video hand it on: its fraction is longer than a file can hold."""
    from comfy_api.latest import InputImpl, Types

    rate = Fraction(float(Fraction(30000, 1001)))
    made = InputImpl.VideoFromComponents(Types.VideoComponents(images=torch.rand(4, 16, 16, 3), frame_rate=rate))
    shown = nodes["OVSR_CompareVideos"].execute(made, made).ui["videos"][0]
    assert (shown["frames"], shown["rate"]) == (4, pytest.approx(30000 / 1001, abs=0.001))
    shutil.rmtree(Path(host.get_temp_directory()) / "textovsr")


def _no_links(*paths: Path) -> None:
    raise OSError("another disk")
