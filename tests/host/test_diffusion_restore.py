"""DiffusionRestore in a real ComfyUI: every pipeline whole, at reduced width; killed, and gone on with."""

import signal
import sys
import threading
from itertools import islice
from pathlib import Path
from typing import Any

import av
import pytest

from textovsr.core.video.reader import VideoReader
from textovsr.tests.helpers.diffusion_files import SAVE
from textovsr.tests.helpers.frames import decoded
from textovsr.tools.comfy_client import ComfyClient, Event, node_progress
from textovsr.tools.comfy_server import ComfyServer, comfy_server, prepare_base

FRAMES = 17
"""Not a multiple of anything."""

WIDTH, HEIGHT = 32, 18

SETTINGS: dict[str, dict[str, Any]] = {
    "MGLD-VSR": {"steps": 2, "least_side": 64},
    "DiffVSR": {"steps": 2},
    "STAR (heavy)": {"steps": 3, "options": "window=9, span=9"},
    "STAR-CogVideoX": {"steps": 2, "options": "window=9, overlap=4"},
    "SDATC": {"steps": 2},
}


def journey(system: str, **changed: Any) -> dict[str, Any]:
    inputs = {"video": ["1", 0], "system": system, "seed": 3, "caption": "a dog", **SETTINGS[system], **changed}
    return {
        "1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": "seventeen.mkv"}},
        "2": {"class_type": "OVSR_DiffusionRestore", "inputs": inputs},
        "3": {"class_type": "OVSR_SaveVideo", "inputs": {"video": ["2", 0], "filename_prefix": "restored"}},
    }


def make_clip(source: Path, path: Path) -> Path:
    """Seventeen frames of a real clip, made small, with their times and the sound of that long."""
    with av.open(str(source)) as given, av.open(str(path), "w") as made:
        picture = given.streams.video[0]
        stream = made.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = picture.time_base
        for frame in islice(given.decode(picture), FRAMES):
            small = frame.reformat(WIDTH, HEIGHT, "yuv420p")
            small.pts, small.time_base = frame.pts, frame.time_base
            made.mux(stream.encode(small))
        made.mux(stream.encode(None))
    return path


def run_until_killed(server: ComfyServer, system: str) -> None:
    """Queue the job and kill the server as soon as more than half is done."""

    def follow(event: Event) -> None:
        if any(node == "2" and done > FRAMES / 2 for node, done, _ in node_progress(event)):
            server.process.send_signal(signal.SIGKILL)

    ends: list[Any] = []

    def wait() -> None:
        try:
            ends.append(ComfyClient(server.address).run(journey(system), on_event=follow).error)
        except Exception:  # noqa: BLE001  (the connection breaks in one of many ways: that is the point)
            return

    running = threading.Thread(target=wait, daemon=True)
    running.start()
    while server.process.poll() is None:
        running.join(0.2)
        assert not ends, f"it ended before it was killed: {ends}"


def result(server: ComfyServer, system: str, **changed: Any) -> tuple[Path, float]:
    """The file of a run, and the least number of frames that it told about."""
    done = ComfyClient(server.address).run(journey(system, **changed))
    assert done.status == "success", done.error
    assert done.progress("2")[-1] == (FRAMES, FRAMES)
    (file,) = (file for file in done.files() if file["type"] == "output")
    return server.base / "output" / file["subfolder"] / file["filename"], min(n for n, _ in done.progress("2") if n)


@pytest.mark.parametrize("system", SETTINGS)
def test_a_real_clip_is_restored_and_a_killed_run_goes_on(
    system: str, comfyui: Path, root: Path, phone_clip: Path, tmp_path: Path
) -> None:
    clip = make_clip(phone_clip, tmp_path / "seventeen.mkv")
    base = prepare_base(tmp_path / "base", root, [clip])
    SAVE[system](base / "models" / "textovsr")
    jobs = base / "output" / ".textovsr"
    with comfy_server(Path(sys.executable), comfyui, base, log=tmp_path / "1.log") as server:
        run_until_killed(server, system)
    (job,) = jobs.iterdir()
    kept = len(decoded(job / "segment-00000.mp4"))
    assert kept >= 8, "what is finished can be watched"
    with comfy_server(Path(sys.executable), comfyui, base, log=tmp_path / "2.log") as server:
        resumed, first = result(server, system)
        assert first > kept
        assert not list(jobs.iterdir())
        whole, first = result(server, system, color_fix="none", cut_threshold=0.31)  # another job of the same picture
        assert first < kept
    assert decoded(resumed) == decoded(whole)
    with VideoReader(clip) as given, VideoReader(resumed) as restored:
        assert (restored.info.width, restored.info.height) == (4 * WIDTH, 4 * HEIGHT)
        before = [float(frame.pts * given.info.time_base) for frame in given]
        frames = list(restored)
        after = [float(frame.pts * restored.info.time_base) for frame in frames]
    assert [time - after[0] for time in after] == pytest.approx([time - before[0] for time in before], abs=0.002)
    assert all(float(frame.image.std()) > 0.02 for frame in frames)


def test_missing_weights_are_named_with_the_ways_to_them(client: ComfyClient, phone_clip: Path) -> None:
    prompt = journey("DiffVSR")
    prompt["1"]["inputs"]["file"] = phone_clip.name
    said = str(client.run(prompt).error)
    assert "DiffVSR_UNet.pt" in said
    assert "Diffusion Weights" in said
