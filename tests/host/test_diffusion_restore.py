"""DiffusionRestore in a real ComfyUI: every pipeline whole, at reduced width; stopped, and gone on with."""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import av
import pytest

from textovsr.core.journal import read_lines
from textovsr.core.video.reader import VideoReader
from textovsr.tests.faults.forker import LONG, until
from textovsr.tests.helpers.diffusion_files import SAVE
from textovsr.tests.helpers.frames import decoded
from textovsr.tests.host.conftest import PATIENCE
from textovsr.tests.host.holding import held, holding_pack
from textovsr.tools.comfy_client import ComfyClient, Event, node_progress
from textovsr.tools.comfy_server import ComfyServer, comfy_server, prepare_base

FRAMES = 17
"""Not a multiple of anything."""

HELD = {"STAR-CogVideoX": 14}
"""Where a job waits for its end: after its first segment, before its last frames; 11 for the others."""

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


def begun(server: ComfyServer) -> int:
    """How many jobs have finished a segment."""
    return sum(len(read_lines(job)) > 1 for job in (server.base / "output" / ".textovsr").glob("*"))


def stop_half_way(server: ComfyServer, system: str, end: Callable[[], object]) -> None:
    """Queue the job, call ``end`` while it is held after its first segment, and wait until nobody works on it."""
    ended, before, at = False, begun(server), HELD.get(system, 11)

    def follow(event: Event) -> None:
        nonlocal ended
        if not ended and any(node == "2" and done >= at for node, done, _ in node_progress(event)):
            ended = True
            until(lambda: begun(server) > before)
            end()

    try:
        found = ComfyClient(server.address).run(
            held(journey(system), "2", at, Path("never")), on_event=follow, timeout=PATIENCE
        )
    except Exception:  # noqa: BLE001  (the connection to a killed server breaks in one of many ways)
        assert server.process.wait(LONG) is not None
    else:
        assert found.status == "interrupted", f"it ended before it was stopped: {found.error}"
    assert ended


def result(server: ComfyServer, system: str, **changed: Any) -> tuple[Path, float]:
    """The file of a run, and the least number of frames that it told about."""
    done = ComfyClient(server.address).run(journey(system, **changed), timeout=PATIENCE)
    assert done.status == "success", done.error
    assert done.progress("2")[-1] == (FRAMES, FRAMES)
    (file,) = (file for file in done.files() if file["type"] == "output")
    return server.base / "output" / file["subfolder"] / file["filename"], min(n for n, _ in done.progress("2") if n)


@dataclass(frozen=True)
class Stopped:
    """What a server left behind that was killed, after most systems' jobs had been interrupted on it.

    Attributes:
        base: the server's folder.
        clip: the input of all jobs.
        jobs: the folder of each system's job.
    """

    base: Path
    clip: Path
    jobs: dict[str, Path]


def put_weights(base: Path, system: str) -> None:
    """Have a server find the files of one system: their names are those of others, their sizes are not."""
    shutil.rmtree(base / "models" / "textovsr", ignore_errors=True)
    SAVE[system](base / "models" / "textovsr")


@pytest.fixture(scope="module")
def stopped(comfyui: Path, root: Path, phone_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    """Every system's job stopped in the middle: the last one by killing the server, the others by an interruption."""
    folder = tmp_path_factory.mktemp("stopped")
    clip = make_clip(phone_clip, folder / "seventeen.mkv")
    base = prepare_base(folder / "base", root, [clip])
    holding_pack(base)
    jobs: dict[str, Path] = {}
    with comfy_server(Path(sys.executable), comfyui, base, log=folder / "1.log") as server:
        interrupt = ComfyClient(server.address).interrupt
        for system in SETTINGS:
            put_weights(base, system)
            last = len(jobs) == len(SETTINGS) - 1
            stop_half_way(server, system, server.process.kill if last else interrupt)
            (jobs[system],) = set((base / "output" / ".textovsr").iterdir()) - set(jobs.values())
    return Stopped(base, clip, jobs)


@pytest.fixture(scope="module")
def next_server(comfyui: Path, stopped: Stopped) -> Iterator[ComfyServer]:
    """A server on the same folders."""
    with comfy_server(Path(sys.executable), comfyui, stopped.base, log=stopped.base / "2.log") as running:
        yield running


@pytest.mark.parametrize("system", SETTINGS)
def test_a_real_clip_is_restored_and_a_stopped_run_goes_on(
    system: str, stopped: Stopped, next_server: ComfyServer
) -> None:
    job = stopped.jobs[system]
    kept = len(decoded(job / "segment-00000.mp4"))
    assert kept >= 8, "what is finished can be watched"
    put_weights(stopped.base, system)
    resumed, first = result(next_server, system)
    assert first > kept
    assert not job.exists()
    whole, first = result(next_server, system, color_fix="none", cut_threshold=0.31)  # another job of the same picture
    assert first < kept
    assert decoded(resumed) == decoded(whole)
    with VideoReader(stopped.clip) as given, VideoReader(resumed) as restored:
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
