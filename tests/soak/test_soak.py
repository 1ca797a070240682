"""A ComfyUI that works for long: a long video, many runs, memory freed and taken again.

The short forms run always. ``-m slow`` runs an hour of 640x360 and 200 runs; ``TEXTOVSR_SOAK_FRAMES`` and
``TEXTOVSR_SOAK_RUNS`` say otherwise.
"""

import os
from pathlib import Path

import av
import psutil
import pytest

from textovsr.core.submit.client import ComfyClient
from textovsr.models.clip_text import ClipTextConfig
from textovsr.tests.helpers.networks import save_tiny
from textovsr.tests.soak.census import LEAK, take_census
from textovsr.tests.soak.kinds import CLIP, KINDS
from textovsr.tests.soak.long_run import LongRun, journey, long_run
from textovsr.tests.soak.many_runs import Round, free, many_runs
from textovsr.tests.soak.material import RATE, write_long
from textovsr.tests.soak.watch import Watch, not_flat
from textovsr.tools.comfy_server import ComfyServer

HOUR = int(os.environ.get("TEXTOVSR_SOAK_FRAMES", 90_000))
RUNS = int(os.environ.get("TEXTOVSR_SOAK_RUNS", 200))

BOUNDS = {"rss": 45e6, "fds": 3.0, "threads": 2.0, "children": 0.0, "files": 3.0, "bytes": 3e6}
"""What may be more in the second half of a long video: an allocator's moods, two states of a shot, a decoder's file."""

ROUNDS = {"rss": 30e6, "fds": 2.0, "threads": 2.0, "children": 0.0}
"""And in the second half of many runs."""

JOURNAL_LINE = 700
"""Bytes of a journal for each segment, at most."""


def times(path: Path, kind: str) -> list[float]:
    """When the packets of the first stream of a kind are due, in seconds."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        found = [float(packet.pts * packet.time_base) for packet in container.demux(stream) if packet.size]
    return [round(time, 4) for time in sorted(found)]


def check_long(run: LongRun, source: Path, frames: int, base: Path, rss: float = BOUNDS["rss"]) -> None:
    """Every frame at its time, all of the sound, nothing grown, nothing left."""
    assert run.result.progress("2")[-1] == (frames, frames)
    assert times(run.file, "video") == [round(i / RATE, 4) for i in range(frames)]
    assert times(run.file, "audio") == times(source, "audio")
    at_work = [sample for sample in run.samples if sample.done]  # what is loaded before takes any time, and memory
    assert not_flat(at_work, {**BOUNDS, "rss": rss}) == []
    assert max(sample.journal - JOURNAL_LINE * sample.segments for sample in run.samples) < 2 * JOURNAL_LINE
    assert max(sample.segments for sample in run.samples) >= frames // 256
    assert list((base / "output" / ".textovsr").iterdir()) == []


def test_a_video_of_many_segments(server: ComfyServer, phone_clip: Path) -> None:
    source = write_long(phone_clip, server.base / "input" / "short.mp4", 260, (64, 36))
    run = long_run(server, source.name, height=36, every=0.05, timeout=1800.0)
    check_long(run, source, 260, server.base)


@pytest.mark.slow
def test_an_hour_of_video(server: ComfyServer, phone_clip: Path) -> None:
    source = write_long(phone_clip, server.base / "input" / "hour.mp4", HOUR)
    run = long_run(server, source.name, height=360, every=5.0, timeout=72 * 3600.0)
    check_long(run, source, HOUR, server.base, rss=150e6)  # up and down by 100 with the place in a window


def check_rounds(first: Round, last: Round, server: ComfyServer) -> None:
    """No object of ours more than after the first of the rounds, no file, and of all others only ComfyUI's records."""
    for name in ("tensors", "tensor_bytes", "networks", "modules", "videos", "loaded"):
        assert last.census[name] <= first.census[name], name
    passing = list((server.base / "temp" / "textovsr").iterdir())
    told = len(passing) + 10 * sum(path.suffix != ".csv" for path in passing)
    assert last.census["ours"] - first.census["ours"] <= told, "paths of what the canvas was told of, videos' indices"
    runs = last.census["history"] - first.census["history"]
    assert last.census["objects"] - first.census["objects"] < 100 * runs, "ComfyUI's records of a run are about 30"
    assert len(passing) <= 64 + last.census["videos"], "more than the canvas is told of"


def test_some_runs(server: ComfyServer) -> None:
    kinds = {name: KINDS[name] for name in ("upscale", "score", "diffusion", "encode, decode")}
    rounds = many_runs(server, 12, kinds, first=1000)
    check_rounds(rounds[0], rounds[-1], server)
    first, last = rounds[0].sample, rounds[-1].sample
    own = [one.sample.threads - one.census["pooled"] for one in (rounds[0], rounds[-1])]
    assert last.fds - first.fds <= 1
    assert own[1] - own[0] <= 1
    assert last.children == 0
    assert last.rss - first.rss < 60e6
    assert [path.suffix for path in (server.base / "temp" / "textovsr").iterdir()].count(".mp4") <= 1


@pytest.mark.slow
def test_many_runs(server: ComfyServer) -> None:
    rounds = many_runs(server, RUNS - RUNS % len(KINDS), first=2000)
    check_rounds(rounds[1], rounds[-1], server)
    assert not_flat([one.sample for one in rounds], ROUNDS) == []


def test_freed_memory_is_given_back_and_the_next_run_loads_again(server: ComfyServer) -> None:
    weights = server.base / "models" / "textovsr" / "heavy.safetensors"
    save_tiny(weights, text=ClipTextConfig(width=256, layers=1, heads=1, hidden=8))  # 50 MB of words
    client, process = ComfyClient(server.address), psutil.Process(server.process.pid)
    prompt = journey(CLIP, 36, weights=weights.name, caption="a dog")
    prompt["1"]["inputs"]["duration"] = 0.2
    held = []
    for caption in ("a dog", "another dog"):
        prompt["2"]["inputs"]["caption"] = caption
        assert client.run(prompt).status == "success"
        assert take_census(client)["networks"] > 20
        before = process.memory_info().rss
        census = free(server)
        held.append(before - process.memory_info().rss)
        assert census["networks"] == 0
        assert census["tensor_bytes"] < 1_000_000
        assert not list((server.base / "temp" / "textovsr").glob("*.mp4")), "results went with ComfyUI's cache"
    assert min(held) > 40e6, held


def test_a_leak_is_seen(server: ComfyServer) -> None:
    """The deliberate one: were it not found, the tests above would say nothing."""
    client = ComfyClient(server.address)
    watch = Watch(server.process.pid, [server.base / "temp"], lambda: 0)
    before = take_census(client)["tensors"]
    for turn in range(12):
        leak = {"class_type": LEAK, "inputs": {"turn": turn, "megabytes": 33}}  # more than malloc ever keeps
        assert client.run({"1": leak}).status == "success"
        watch.take()
    found = not_flat(watch.samples, {**ROUNDS, "files": 2.0})
    assert [said.split()[0] for said in found] == ["rss", "fds", "threads", "files"]
    assert take_census(client)["tensors"] - before >= 12
