"""How well is work shared out? Constants measured here, 1 to 64 workers simulated, the simulation checked on Ray.

``python benchmarks/cluster.py lead``: a part of a shot after a lead against the same frames of the whole shot.
``python benchmarks/cluster.py constants``: what surveying, sending and joining a frame costs.
``python benchmarks/cluster.py simulate``: events of jobs on many workers.
``python benchmarks/cluster.py check``: real jobs whose frames take a known time, beside the simulation.
"""

import heapq
import os
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from common import CLIPS, KINDS, VALIDATE, machine, read_clip, table
from torch import Tensor

from textovsr.core.cluster.config import ClusterConfig
from textovsr.core.cluster.engine import restore_on_cluster
from textovsr.core.cluster.layout import Layout, Rule
from textovsr.core.cluster.survey import Reach, survey
from textovsr.core.config import EncodeConfig, RecurrentConfig
from textovsr.core.job import Job, Progress, Source
from textovsr.core.journal import Pause, Position
from textovsr.core.leads import RECURRENT_LEAD
from textovsr.core.pipeline import Order
from textovsr.core.prompts import Prompter
from textovsr.core.quality.fidelity import psnr_y
from textovsr.core.restoration import Restoration, Result, ShotFrame, after
from textovsr.core.restorers.loading import load_restorer
from textovsr.core.video.cuts import mark_cuts
from textovsr.core.video.mux import mux
from textovsr.core.video.reader import VideoReader
from textovsr.models.catalog import find_weights
from textovsr.tests.helpers.cluster import STORE, TrailRecipe

PHONE = VALIDATE.parents[2] / "clips" / "phone.mp4"


@dataclass(frozen=True)
class Costs:
    """What a job costs.

    Attributes:
        frame: seconds to restore a frame, on one worker.
        survey: seconds to decode a frame, look for cuts and take its fingerprint, where the job was started.
        join: seconds to record and join a frame, there.
        result: bytes of a restored frame.
        source: bytes of a source frame.
        link: bytes a second of the network where the job was started.
        piece: seconds that a piece costs beside its frames: messages, opening and seeking the source.
        start: seconds until a worker is ready.
    """

    frame: float
    survey: float
    join: float
    result: float
    source: float
    link: float = 1.25e8
    piece: float = 0.3
    start: float = 15.0


@dataclass(frozen=True)
class Work:
    """A video: frames, frames of a piece, of a lead, the share of pieces with one, and workers of a machine."""

    frames: int
    piece: int
    lead: int = RECURRENT_LEAD
    split: float = 0.5
    site: int = 1


def simulate(work: Work, costs: Costs, workers: int) -> float:
    """Seconds of a job: pieces become known, are restored by whoever is free, and come back over one line."""
    line = costs.start
    free = []
    for number in range(workers):  # every machine gets the source once, one after the other
        line += work.frames * costs.source / costs.link if number % work.site == 0 else 0.0
        free.append(line)
    heapq.heapify(free)
    pieces = -(-work.frames // work.piece)
    arrived = 0.0
    for number in range(pieces):
        count = min(work.piece, work.frames - number * work.piece)
        known = costs.start + min((number + 1) * work.piece, work.frames) * costs.survey
        led = int((number + 1) * work.split) > int(number * work.split)
        done = max(heapq.heappop(free), known) + costs.piece + (count + work.lead * led) * costs.frame
        heapq.heappush(free, done)
        line = max(line, done) + count * costs.result / costs.link
        arrived = max(arrived, line)
    return arrived + work.frames * costs.join


def one_machine(work: Work, costs: Costs) -> float:
    """Seconds of the same job without a cluster."""
    return work.frames * (max(costs.frame, costs.survey) + costs.join)


def measure_lead() -> None:
    """A table of leads: the first frames of a part of a shot, against those of the whole shot."""
    rows = []
    for name in ("textovsr-lite", "textovsr-base"):
        restorer = load_restorer(
            find_weights(name, []), RecurrentConfig(window=8, look_ahead=8), torch.device("cpu"), 4 << 30
        )
        with VideoReader(PHONE) as reader:
            phone = torch.stack([frame.image for frame in reader])[..., 40:136, 100:228]
        clips = [(read_clip(f"{clip}_lr_{kind}", 24), read_clip(f"{clip}_hr", 24)) for clip in CLIPS for kind in KINDS]
        for lead in (0, 8, 16, 24):
            materials = {"phone": [lead_difference(restorer, phone, None, 32, lead)]}
            if lead < 16:  # there the whole clip is the lead
                materials["validation"] = [lead_difference(restorer, frames, hr, 16, lead) for frames, hr in clips]
            for material, found in materials.items():
                loss = max((loss for *_, loss in found if loss is not None), default=None)
                mean, largest = max(mean for mean, *_ in found), max(largest for _, largest, _ in found)
                told = "" if loss is None else f"{loss:.3f} dB"
                rows.append((name, material, str(lead), f"{mean:.3f}", f"{largest:.1f}", told))
                print(*rows[-1], flush=True)
    table(("weights", "clips", "lead", "mean difference /255", "largest", "worst PSNR-Y loss"), rows)


def lead_difference(restorer, frames: Tensor, hr: Tensor | None, begin: int, lead: int):  # type: ignore[no-untyped-def]
    """Mean and largest difference, of 255, of 8 frames, and their loss of PSNR-Y where the truth is known."""
    whole = restored(restorer, frames, 0, begin)
    part = restored(restorer, frames, begin - lead, begin)
    difference = 255 * (whole - part).abs()
    loss = None if hr is None else psnr_y(whole, hr[begin:][:8]) - psnr_y(part, hr[begin:][:8])
    return float(difference.mean()), float(difference.max()), loss


_known: dict[tuple[int, int, int], Tensor] = {}


def restored(restorer, frames: Tensor, begin: int, kept: int) -> Tensor:  # type: ignore[no-untyped-def]
    """Eight frames from ``kept`` on, of a shot that is restored from ``begin`` on."""
    key = (id(restorer), frames.data_ptr(), begin)
    if key not in _known:
        shot = [ShotFrame(frame, "", 0, index) for index, frame in enumerate(frames)]
        restoration = Restoration(restorer, restorer.plan(*frames.shape[-2:]), lambda: None, print)
        items = after(restoration.run(shot[begin:], Pause(Position(1, begin))), kept - begin)
        _known[key] = torch.stack(list(islice((item.image for item in items if isinstance(item, Result)), 8)))
    return _known[key]


def measure_constants() -> Costs:
    """Survey and joining in processor time, on the bundled clip of 320x180 and its result of 1280x720."""
    with VideoReader(PHONE) as reader:
        prompted, began = Prompter(Job(), reader.info), time.process_time()
        frames = (prompted(frame, int(cut)) for frame, cut in mark_cuts(reader.frames(), lambda frame: frame.image))
        count = 0
        for task in survey(frames, 0, Layout(Rule(8, 32, 128), 0, Position()), Reach(16, 9)):
            count += task.piece.frames
        surveyed = (time.process_time() - began) / count
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        mux([PHONE], PHONE, Path(folder) / "joined.mp4", work=Path(folder))
        join = (time.process_time() - began) / count
    size = PHONE.stat().st_size / count
    print(f"{machine()}: a frame of 320x180 is surveyed in {1e3 * surveyed:.1f} ms, joined in {1e3 * join:.2f} ms")
    return Costs(1.0, surveyed, join, result=16 * size, source=size)


LAN = Costs(4.0, 0.012, 0.0006, 250_000, 40_000)
"""640x360 to 2560x1440 over 1 Gbit/s; survey and joining as measured, by area; bytes of H.264 at CRF 16."""

BOX = replace(LAN, link=2e9, source=0.0)
"""All graphics cards in one box: nothing is sent, and what comes back goes through memory."""

SCENES = {
    "4 s a frame, machines with a worker each": (Work(86_400, 128), LAN),
    "1 s a frame, machines with a worker each": (Work(86_400, 128), replace(LAN, frame=1.0)),
    "diffusion, 5 s a frame, 10 min": (Work(14_400, 128), replace(LAN, frame=5.0)),
    "15 frames/s, cards of one box": (Work(86_400, 128, site=64), replace(BOX, frame=1 / 15)),
    "60 frames/s, cards of one box": (Work(86_400, 128, site=64), replace(BOX, frame=1 / 60)),
}
"""Videos of an hour at 24 frames a second, in pieces of 128 frames of which every second one needs a lead."""


def simulate_all() -> None:
    """A table of how many times faster than one machine alone."""
    counts = (1, 2, 4, 8, 16, 32, 64)
    rows = []
    for name, (work, costs) in SCENES.items():
        alone = one_machine(work, costs)
        rows.append([name, *(f"{alone / simulate(work, costs, count):.1f}" for count in counts)])
    table(("times faster than alone, with workers", *map(str, counts)), rows)


def check(seconds: float = 0.3) -> None:
    """Jobs whose frames take a known time, on 1 and 2 workers of this machine: measured and simulated."""
    os.environ["RAY_AUTH_MODE"] = "disabled"
    import ray

    rows, alone, counts = [], 0.0, (1, 2)
    with tempfile.TemporaryDirectory(prefix="ovb-", dir="/tmp") as name:
        folder = Path(name)
        ray.init(
            num_cpus=max(counts),
            include_dashboard=False,
            object_store_memory=STORE,
            _temp_dir=name,
            log_to_driver=False,
        )
        for workers in counts:
            measured = real_seconds(folder, workers, seconds)
            costs = Costs(seconds, 0.005, 0.001, 15_000, 800, link=2e9, start=0.0)
            simulated = simulate(Work(41, 8, lead=0), costs, workers)
            alone = alone or measured
            rows.append((str(workers), f"{measured:.1f} s", f"{simulated:.1f} s", f"{alone / measured:.2f}"))
        ray.shutdown()
    table(("workers", "measured, without start-up", "simulated", "times one worker"), rows)


def real_seconds(folder: Path, workers: int, seconds: float) -> float:
    """Seconds from when all workers are ready to when the result is there."""
    job = Job(encode=EncodeConfig(preset="ultrafast"), segment=8)
    order = Order(Source(PHONE), folder / f"{workers}.mp4", job)
    wish = ClusterConfig("auto", workers=workers, cpus=1, lead=0, piece=8)
    reports: list[Progress] = []
    restore_on_cluster(order, TrailRecipe(folder, seconds), wish, reports.append)
    return reports[-1].seconds - reports[0].seconds + reports[0].done * seconds / workers


def main() -> None:
    """Do what was asked for."""
    steps = {"lead": measure_lead, "constants": measure_constants, "simulate": simulate_all, "check": check}
    for name in sys.argv[1:] or steps:
        steps[name]()


if __name__ == "__main__":
    main()
