"""A ComfyUI that is stopped or killed in the middle of a job: the same prompt, queued again, goes on after it."""

import signal
import sys
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from textovsr.core.job_lock import is_held
from textovsr.tests.faults.forker import LONG, until
from textovsr.tests.helpers.frames import decoded, packets
from textovsr.tests.helpers.networks import save_tiny
from textovsr.tests.host.conftest import PATIENCE
from textovsr.tests.host.holding import held, holding_pack
from textovsr.tools.comfy_client import ComfyClient, Event, node_progress
from textovsr.tools.comfy_server import ComfyServer, comfy_server, prepare_base

FRAMES, SEGMENT = 200, 128
"""A segment of so small a picture has the most frames."""

HELD = SEGMENT + 10
"""Where a job waits for its end; the encoder is at most a few frames behind, so that the segment is finished."""


def make_clip(path: Path) -> None:
    """200 frames of 32x24 that drift, with sound."""
    scene = np.kron(np.random.default_rng(0).integers(0, 255, (3, 32, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for index in range(FRAMES):
            picture = np.ascontiguousarray(scene[:, index : index + 32])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 16000 * 8), np.float32), format="fltp", layout="mono")
        tone.sample_rate, tone.pts, tone.time_base = 16000, 0, Fraction(1, 16000)
        container.mux(sound.encode(tone))
        container.mux(sound.encode(None))


def journey(prefix: str) -> dict[str, Any]:
    return {
        "1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": "clip.mp4"}},
        "2": {"class_type": "OVSR_TextOVSRUpscale", "inputs": {"video": ["1", 0], "weights": "tiny.safetensors"}},
        "3": {"class_type": "OVSR_SaveVideo", "inputs": {"video": ["2", 0], "filename_prefix": prefix}},
    }


def stop_at_work(server: ComfyServer, end: Callable[[], object]) -> int:
    """Queue the job, call ``end`` while it is held, wait for the prompt, and return the frames by then."""
    reached = [0]

    def follow(event: Event) -> None:
        for node, done, _ in node_progress(event):
            if node == "2" and done >= HELD and not reached[0]:
                reached[0] = int(done)
                end()

    waiting = threading.Thread(target=_swallow, args=(ComfyClient(server.address), follow), daemon=True)
    waiting.start()
    until(lambda: not waiting.is_alive() or server.process.poll() is not None)
    return reached[0]


def _swallow(client: ComfyClient, follow: Any) -> None:
    try:
        client.run(held(journey("t/first"), "2", HELD, Path("never")), on_event=follow)
    except Exception:  # noqa: BLE001  (the connection breaks in one of many ways: that is the point)
        return


def test_the_same_prompt_goes_on_at_the_next_server(comfyui: Path, root: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    make_clip(clip)
    base = prepare_base(tmp_path / "base", root, [clip])
    holding_pack(base)
    (base / "models" / "textovsr").mkdir(parents=True)
    save_tiny(base / "models" / "textovsr" / "tiny.safetensors")
    jobs = base / "output" / ".textovsr"
    with comfy_server(Path(sys.executable), comfyui, base, log=tmp_path / "1.log") as server:
        interrupt = ComfyClient(server.address).interrupt
        assert stop_at_work(server, interrupt) == HELD
        (job,) = jobs.iterdir()
        until(lambda: not is_held(job))
        assert not list(job.glob("part-*")), "an interrupted job has nothing half done"
        assert stop_at_work(server, lambda: server.process.send_signal(signal.SIGTERM)) == HELD
        assert server.process.wait(LONG) is not None
    with comfy_server(Path(sys.executable), comfyui, base, log=tmp_path / "killed.log") as server:
        assert not list((base / "temp").rglob("*.mp4")), "a second copy"
        assert stop_at_work(server, server.process.kill) == HELD
        assert server.process.wait(LONG) is not None
    (job,) = jobs.iterdir()
    assert len(decoded(job / "segment-00000.mp4")) == SEGMENT, "what is finished can be watched"
    with comfy_server(Path(sys.executable), comfyui, base, log=tmp_path / "2.log") as server:
        client = ComfyClient(server.address)
        resumed = client.run(journey("t/resumed"), timeout=PATIENCE)
        assert resumed.status == "success", resumed.error
        assert min(done for done, _ in resumed.progress("2") if done) > SEGMENT
        assert resumed.progress("2")[-1] == (FRAMES, FRAMES)
        assert not list(jobs.iterdir())
        prompt = journey("t/whole")
        prompt["2"]["inputs"]["caption"] = " "  # another prompt to the cache, the same to the network
        whole = client.run(prompt, timeout=PATIENCE)
        assert whole.status == "success", whole.error
    first, second = (next((base / "output" / "t").glob(f"{name}*.mp4")) for name in ("resumed", "whole"))
    assert decoded(first) == decoded(second)
    assert packets(first) == packets(second) == packets(clip)
