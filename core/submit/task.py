"""One input file on its way through the servers."""

import hashlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .workflow import Workflow

State = Literal["waiting", "uploading", "queued", "running", "fetching", "done", "failed"]
AT_SERVER = ("uploading", "queued", "running", "fetching")
SETTLED = ("done", "failed")


@dataclass
class Task:
    """A file, and how far it is.

    Attributes:
        source: the input.
        key: tells it and its workflow from all others.
        state: waiting until a server takes it; then the server has it until it is done, failed or waits again.
        server: the address of the server that has it, or had it last.
        prompt_id: its id there.
        tries: how many times it was given to a server in this run.
        stumbles: how many times fetching its results has broken off.
        refused: servers that could not do it.
        files: names of the results in the output folder.
        error: why it failed, or had to be given to another server.
        doing: what the running node is called.
        done: frames, or steps, that the running node has finished.
        total: of how many.
        began: when it began to run, by ``time.monotonic``.
        seconds: how long it took.
        fresh: whether this run has finished it, and no earlier one.
    """

    source: Path
    key: str
    state: State = "waiting"
    server: str = ""
    prompt_id: str = ""
    tries: int = 0
    stumbles: int = 0
    refused: set[str] = field(default_factory=set)
    files: list[str] = field(default_factory=list)
    error: str = ""
    doing: str = ""
    done: float = 0.0
    total: float = 0.0
    began: float = 0.0
    seconds: float = 0.0
    fresh: bool = False

    @property
    def settled(self) -> bool:
        """Whether nothing more is to be done about it."""
        return self.state in SETTLED

    def start_running(self) -> None:
        """Note that its server works on it."""
        if self.state != "running":
            self.state, self.began = "running", time.monotonic()

    def wait_again(self) -> None:
        """Forget the server that had it."""
        self.state, self.server, self.prompt_id, self.doing, self.done, self.total = "waiting", "", "", "", 0.0, 0.0


def make_task(source: Path, workflow: Workflow) -> Task:
    """A task for a file as it is now.

    Raises:
        OSError: there is no such file.
    """
    stat, place = source.stat(), source.resolve()
    described: list[Any] = [workflow.reading(""), str(place), stat.st_size, stat.st_mtime_ns]
    return Task(source, hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:32])
