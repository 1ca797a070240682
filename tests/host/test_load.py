"""Fifty jobs and more from several clients at once: every one ends as it should, and leaves nothing behind."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from textovsr.core.journal import read_lines
from textovsr.tests.helpers.cli import Running, command, environ
from textovsr.tests.helpers.frames import decoded, packets
from textovsr.tests.helpers.networks import save_tiny
from textovsr.tests.helpers.web import connections
from textovsr.tests.host.holding import holding_pack
from textovsr.tests.host.load.clients import PATIENCE, Outcome, User, at_once
from textovsr.tests.host.load.expected import Frames, expected
from textovsr.tests.host.load.films import FILMS, LONG
from textovsr.tests.host.load.gate import gate_pack, gate_prompt
from textovsr.tests.host.load.plan import SWEEPER, WEIGHTS, Wish, make_plan
from textovsr.tools.comfy_client import ComfyClient
from textovsr.tools.comfy_server import ComfyServer, comfy_server, prepare_base

SEED = 2026
SEGMENT = 128
"""Frames of a segment of so small a picture."""

FEW = (20, 6)
"""Threads and open files that a server may have more of after sixty jobs: its pools grow as they are needed.

ComfyUI tells of progress in up to ten threads, and aiohttp takes uploads in one for each client at most.
"""

SUBMITTED = ("sound.mp4", "none.mp4", "jumps.mkv", "twin.mp4")
"""What ``textovsr submit`` sends; the second one is no video."""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    return {name: film.write(folder) for name, film in FILMS.items()}


@pytest.fixture(scope="module")
def server(comfyui: Path, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """A ComfyUI of its own, which computes in one thread: other numbers of threads give other last bits."""
    base = prepare_base(tmp_path_factory.mktemp("load"), root, [])
    gate_pack(base)
    holding_pack(base)
    (base / "models" / "textovsr").mkdir(parents=True)
    save_tiny(base / "models" / "textovsr" / WEIGHTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("MKL_NUM_THREADS", "1")
        with comfy_server(Path(sys.executable), comfyui, base, log=base / "comfyui.log") as running:
            yield running


def wait_for(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"never came true: {what}"
        time.sleep(0.05)


def handles(server: ComfyServer) -> tuple[int, int]:
    """Threads and open files of the server; zeros where the system does not say."""
    process = Path("/proc") / str(server.process.pid)
    if not process.is_dir():
        return 0, 0
    return len(list((process / "task").iterdir())), len(list((process / "fd").iterdir()))


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def warm_up(server: ComfyServer, film: Path) -> None:
    """One job of every kind, so that what is made once is there."""
    user = User(
        server.address,
        [Wish(f"warm-{kind}", film.name, kind) for kind in ("upscale", "degrade", "images")],
        {film.name: film},
    )
    user.connect()
    user.queue_all()
    user.follow()
    assert [outcome.fate for outcome in user.outcomes] == ["success"] * 3, "\n".join(map(str, user.outcomes))


def submit(server: ComfyServer, films: dict[str, Path], output: Path) -> Running:
    """``textovsr submit``, as one client among others."""
    files = [films[name] for name in SUBMITTED]
    settings = [
        f"2.{key}={value}" for key, value in {"weights": WEIGHTS, "window": 8, "look_ahead": 4, "tile": 64}.items()
    ]
    words = ("submit", "upscale_clip", "--input", *files, "--output", output, "--server", server.address, "--json")
    line = command(*words, "--quiet", "--set", *settings)
    return Running(line, env=environ(), stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def rush(server: ComfyServer, films: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> "Rush":
    """All clients at once, to the end of the last job."""
    return Rush(server, films, tmp_path_factory.mktemp("submitted"))


class Rush:
    """What happened.

    Attributes:
        outcomes: of every job, by its name.
        submitted: what ``textovsr submit`` said of its files.
        waiting: jobs that were in the queue at once.
        before: threads and open files of the server.
    """

    def __init__(self, server: ComfyServer, films: dict[str, Path], folder: Path) -> None:
        warm_up(server, films["twin.mp4"])
        wait_for(lambda: ComfyClient(server.address).queue() == ([], []), "an empty queue")
        self.folder, self.temp_before = folder, len(files_in(server.base / "temp"))
        wait_for(lambda: not connections(server.process.pid), "the end of all connections")
        self.before = handles(server)
        self.users = [User(server.address, wishes, films) for wishes in make_plan(SEED)]
        with submit(server, films, folder / "out") as sending:
            self._rush(ComfyClient(server.address), folder / "gate", sending)

    def _rush(self, keeper: ComfyClient, gate: Path, sending: Running) -> None:
        keeper.submit(gate_prompt(gate))
        at_once([user.connect for user in self.users])
        at_once([user.queue_all for user in self.users])
        known = {keeper.client_id, *(user.client.client_id for user in self.users)}
        wait_for(
            lambda: bool({item[3]["client_id"] for item in keeper.get("/queue")["queue_pending"]} - known), "submit"
        )
        self.waiting = len(keeper.queue()[1])
        at_once([user.withdraw_some for user in self.users[:SWEEPER]] + [self.users[SWEEPER].sweep])
        at_once([*(user.follow for user in self.users), gate.touch])
        said, _ = sending.communicate()
        self.submitted = json.loads(said)
        self.outcomes = {outcome.wish.name: outcome for user in self.users for outcome in user.outcomes}

    def table(self) -> str:
        """How each job was to end, and how it did."""
        return "\n".join(["", *map(str, self.outcomes.values())])

    def of(self, *fates: str) -> list[Outcome]:
        """The jobs that were to end so."""
        return [outcome for outcome in self.outcomes.values() if outcome.wish.fate in fates]


def as_wished(outcome: Outcome) -> bool:
    denied = outcome.wish.fate == "denied" and outcome.fate in ("refused", "failed")
    return denied or outcome.fate == outcome.wish.fate


def test_every_job_ends_as_it_should(rush: Rush) -> None:
    assert len(rush.outcomes) >= 50
    assert rush.waiting >= 30, "there was no load"
    assert all(map(as_wished, rush.outcomes.values())), rush.table()
    for outcome in rush.of("refused", "failed", "denied"):
        missing = [word for word in outcome.wish.words if word not in outcome.said]
        assert not missing, f"{outcome.wish.name}: {missing} not in {outcome.said}"
        if outcome.fate == "failed":
            assert ".core.errors." in outcome.kind, f"{outcome.wish.name} failed with {outcome.kind}: {outcome.said}"
    assert not [event for user in rush.users for event in user.strange], "a client heard of another one's jobs"


def result(server: ComfyServer, outcome: Outcome) -> Path:
    (file,) = outcome.files
    return server.base / "output" / file["subfolder"] / file["filename"]


def test_every_result_is_what_its_job_gives_alone(
    rush: Rush, server: ComfyServer, films: dict[str, Path], tmp_path: Path
) -> None:
    weights = server.base / "models" / "textovsr" / WEIGHTS
    seen: dict[str, str] = {}
    for outcome in rush.of("success"):
        wish, file = outcome.wish, result(server, outcome)
        found = pictures(file) if wish.kind == "images" else decoded(file)
        if wish.kind != "trim":
            assert len(found) == FILMS[wish.film].frames, wish.name
        if wish.kind != "images":  # which go through the host's own nodes
            assert found == expected(wish, films[wish.film], weights, tmp_path), wish.name
            assert [time for time, _ in found] == expected_times(wish, films[wish.film]), wish.name
        if FILMS[wish.film].sound and wish.kind not in ("trim", "images"):
            assert packets(file) == packets(films[wish.film]), wish.name
        name = seen.setdefault(digest(found), wish.prefix or wish.name)
        assert {name, wish.prefix or wish.name} <= {"twin-0", "twin-1"} or name == (wish.prefix or wish.name)


def pictures(file: Path) -> Frames:
    """What ``decoded`` gives, of samples that NumPy does not know."""
    with av.open(str(file)) as container:
        frames = [(f.pts * f.time_base, f.reformat(format="rgb24")) for f in container.decode(video=0)]
    return [(time, frame.to_ndarray().tobytes()) for time, frame in frames]


def digest(frames: Frames) -> str:
    return hashlib.sha256(b"".join(picture for _, picture in frames)).hexdigest()


def expected_times(wish: Wish, film: Path) -> list[Fraction]:
    with av.open(str(film)) as container:
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
    if wish.kind != "trim":
        return times
    first, length = (Fraction(str(wish.settings[key])) for key in ("start", "duration"))
    return [time - first for time in times if first <= time < first + length]


def test_submit_is_served_among_the_others(
    rush: Rush, films: dict[str, Path], server: ComfyServer, tmp_path: Path
) -> None:
    weights = server.base / "models" / "textovsr" / WEIGHTS
    assert [Path(task["input"]).name for task in rush.submitted] == list(SUBMITTED)
    for name, task in zip(SUBMITTED, rush.submitted, strict=True):
        if FILMS[name].damage < 1:
            assert (task["state"], task["tries"]) == ("failed", 1)
            assert "Expected a video" in task["error"]
            continue
        assert (task["state"], task["tries"], task["error"]) == ("done", 1, "")
        (file,) = task["files"]
        assert decoded(Path(file)) == expected(Wish(f"{name}-sent", name), films[name], weights, tmp_path)


def test_nothing_is_left_but_what_can_go_on(rush: Rush, server: ComfyServer) -> None:
    client = ComfyClient(server.address)
    assert client.queue() == ([], [])
    most = tuple(number + few for number, few in zip(rush.before, FEW, strict=True))
    wait_for(lambda: all(now <= then for now, then in zip(handles(server), most, strict=True)), f"at most {most}")
    made = [o for o in rush.of("success") if o.wish.kind in ("upscale", "degrade", "images")]
    kept = files_in(server.base / "temp")
    assert len(kept) - rush.temp_before <= 2 * len(made) + len(SUBMITTED), kept
    assert not [path.name for path in files_in(server.base) if "part" in path.name]
    jobs = list((server.base / "output" / ".textovsr").iterdir())
    assert len(jobs) == 1, jobs
    assert sum(line["frames"] for line in read_lines(jobs[0])[1:]) >= SEGMENT


def test_what_was_stopped_goes_on(rush: Rush, server: ComfyServer, films: dict[str, Path], tmp_path: Path) -> None:
    outcome = rush.outcomes["stopped-late"]
    prompt = replace(outcome.wish, stop_at=0).prompt(outcome.prompt["1"]["inputs"]["file"])
    again = ComfyClient(server.address).run(prompt, timeout=PATIENCE)
    assert again.status == "success", again.error
    assert min(done for done, _ in again.progress("2") if done) > SEGMENT
    (file,) = [file for file in again.files() if file["type"] == "output"]
    found = decoded(server.base / "output" / file["subfolder"] / file["filename"])
    weights = server.base / "models" / "textovsr" / WEIGHTS
    assert len(found) == LONG
    assert found == expected(outcome.wish, films[outcome.wish.film], weights, tmp_path)
    assert not list((server.base / "output" / ".textovsr").iterdir())
