"""Run after run in one server, every kind in turn, counted from inside and outside after every round."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from textovsr.core.submit.client import ComfyClient, Prompt
from textovsr.tests.faults.forker import until
from textovsr.tests.helpers.web import connections
from textovsr.tests.soak.census import take_census
from textovsr.tests.soak.kinds import KINDS
from textovsr.tests.soak.watch import Sample, Watch
from textovsr.tools.comfy_server import ComfyServer


@dataclass(frozen=True)
class Round:
    """What the server held after a round: seen from outside, and counted inside."""

    sample: Sample
    census: dict[str, Any]


def many_runs(
    server: ComfyServer, runs: int, kinds: dict[str, Callable[[int], Prompt]] = KINDS, first: int = 0
) -> list[Round]:
    """Run prompts of every kind in turn, and look after every round of kinds.

    Args:
        server: with ``put_everything`` and ``put_census`` in its base folder.
        runs: how many prompts.
        kinds: what to run.
        first: number of the first run; a number that was there before would be found in ComfyUI's cache.
    """
    client, folder = ComfyClient(server.address), server.base / "temp" / "textovsr"
    done = [0]
    watch = Watch(server.process.pid, [folder, server.base / "output" / ".textovsr"], lambda: done[0])
    makers, found = list(kinds.items()), []
    for turn in range(runs):
        name, make = makers[turn % len(makers)]
        result = client.run(make(first + turn), timeout=1800.0)
        assert result.status == "success", (name, result.error)
        done[0] = turn + 1
        if (turn + 1) % len(makers) == 0:
            census = take_census(client)
            until(lambda: not connections(server.process.pid))  # which are open files
            found.append(Round(census=census, sample=watch.take()))
    return found


def free(server: ComfyServer, seconds: float = 600.0) -> dict[str, Any]:
    """Press ComfyUI's "free memory" and wait until it has unloaded everything; the census after it."""
    client, end = ComfyClient(server.address), time.monotonic() + seconds
    client.free()
    while (census := take_census(client))["loaded"] or census["videos"]:
        assert time.monotonic() < end, f"ComfyUI did not unload everything: {census}"
        time.sleep(0.1)
    return census


def rows(rounds: list[Round]) -> list[list[str]]:
    """The rounds as cells of a table; the header is ``HEADER``."""
    found = []
    for one in rounds:
        sample, census = asdict(one.sample), one.census
        cells = [sample["done"], f"{sample['rss'] / 1e6:.0f}", sample["fds"], sample["threads"], sample["files"]]
        cells += [census["tensors"], f"{census['tensor_bytes'] / 1e6:.1f}", census["networks"], census["objects"]]
        found.append([str(cell) for cell in (*cells, f"{census['history_bytes'] / 1000:.0f}")])
    return found


HEADER = ["runs", "RSS, MB", "files open", "threads", "temporary files", "tensors", "MB of them", "our modules"]
HEADER += ["objects", "history, kB"]
