"""What a ComfyUI holds during a long video, or many runs: memory, open files, threads, temporary files.

``python benchmarks/soak.py [--frames 90000] [--side 640x360] [--every 5] [--folder F]``: 25 frames a second of real
footage, repeated, through TextOVSR Upscale with a tiny network, so that it is the machinery that is measured.
``python benchmarks/soak.py --runs 200``: short graphs of every kind in turn. Both need what ``dev.py setup`` fetches.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import psutil
from common import machine, table

from textovsr.tests.soak import many_runs, watch
from textovsr.tests.soak.census import put_census
from textovsr.tests.soak.kinds import put_everything
from textovsr.tests.soak.long_run import long_run, put_weights
from textovsr.tests.soak.material import write_long
from textovsr.tools.comfy_server import ComfyServer, comfy_server, prepare_base

ROOT = Path(__file__).parent.parent
CLIP = ROOT / "clips" / "phone.mp4"
COMFYUI = ROOT / ".textovsr" / "ComfyUI"


def one_video(base: Path, frames: int, sides: tuple[int, int]) -> None:
    """Put into a server's base folder what one long video needs."""
    put_weights(base)
    write_long(CLIP, base / "input" / "long.mp4", frames, sides)


def watch_video(server: ComfyServer, height: int, every: float) -> None:
    """Run it, and print a table."""
    run = long_run(server, "long.mp4", height, every, 48 * 3600.0)
    print(f"{machine()}; {run.samples[-1].done} frames, {run.samples[-1].seconds / 60:.0f} minutes\n")
    table(watch.HEADER, watch.table(run.samples, 25))


def watch_runs(server: ComfyServer, runs: int) -> None:
    """Run after run, a table, and what is left after ComfyUI's button."""
    rounds = many_runs.many_runs(server, runs)
    print(f"{machine()}; {rounds[-1].sample.seconds / 60:.0f} minutes\n")
    table(many_runs.HEADER, many_runs.rows(rounds[:: max(len(rounds) // 12, 1)]))
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    print("After ComfyUI's memory was freed:", many_runs.free(server))
    print(f"RSS {before / 1e6:.0f} MB before, {process.memory_info().rss / 1e6:.0f} MB after")


def main() -> None:
    """Write the video, start a server, run, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=90_000)
    parser.add_argument("--runs", type=int, default=0, help="so many short runs instead of a long video")
    parser.add_argument("--side", default="640x360")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between samples")
    parser.add_argument("--folder", type=Path, help="where the server's folders lie; a temporary one by default")
    options = parser.parse_args()
    width, height = map(int, options.side.split("x"))
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        base = prepare_base(Path(scratch) / "base", ROOT, [])
        if options.runs:
            put_census(base)
            put_everything(base, COMFYUI, CLIP)
        else:
            one_video(base, options.frames, (width, height))
        log = Path(options.folder or scratch) / "comfyui.log"
        with comfy_server(Path(sys.executable), COMFYUI, base, log=log) as server:
            if options.runs:
                watch_runs(server, options.runs)
            else:
                watch_video(server, height, options.every)


if __name__ == "__main__":
    main()
