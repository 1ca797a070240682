"""Which server has which task: given out, taken back, settled; what the servers' threads share, under one lock."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from .ledger import Ledger
from .task import AT_SERVER, SETTLED, Task

AHEAD = 2
"""Tasks that a server has at a time: one to work on, and one to go on with while results are fetched."""

_FIRST_SECONDS = 5.0
"""So long the first server to answer waits for the others, so that it does not take what is theirs."""


@dataclass
class Server:
    """A server as it was last seen.

    Attributes:
        address: of its API.
        load: prompts in its queue, whoever sent them, and files on the way there.
        met: whether it has ever answered.
        down_since: since when it has not answered, by ``time.monotonic``; None while it does.
        trouble: what was the matter then.
        abandoned: prompts that others do now.
    """

    address: str
    load: int = 0
    met: bool = False
    down_since: float | None = None
    trouble: str = ""
    abandoned: set[str] = field(default_factory=set)

    @property
    def alive(self) -> bool:
        """Whether it answered when it was last asked."""
        return self.met and self.down_since is None

    def answered(self) -> None:
        """Note that it does."""
        self.met, self.down_since = True, None

    def failed(self, reason: str) -> None:
        """Note that it does not."""
        self.trouble = reason
        if self.down_since is None:
            self.down_since = time.monotonic()


@dataclass(frozen=True)
class Limits:
    """How much is forgiven.

    Attributes:
        retries: times that a task is given to a server again after one has failed it.
        patience: seconds that a server may be silent before others take over, or all is given up.
    """

    retries: int = 2
    patience: float = 60.0


class Pool:
    """The tasks; every method may be called from any thread."""

    def __init__(self, tasks: Sequence[Task], servers: Sequence[Server], ledger: Ledger, limits: Limits) -> None:
        self.tasks, self.servers, self.ledger = list(tasks), list(servers), ledger
        self.stopped = threading.Event()
        self._limits = limits
        self._lock = threading.RLock()
        self._began = time.monotonic()
        addresses = {server.address for server in servers}
        for task in self.tasks:
            if task.state in AT_SERVER and task.server not in addresses:
                task.wait_again()

    @property
    def settled(self) -> bool:
        """Whether every task is done or has failed."""
        return all(task.settled for task in self.tasks)

    def at(self, server: Server) -> list[Task]:
        """The tasks that a server has."""
        with self._lock:
            return [task for task in self.tasks if task.state in AT_SERVER and task.server == server.address]

    def take(self, server: Server) -> Task | None:
        """The next task for a server, unless it has enough or another one has less to do."""
        with self._lock:
            early = time.monotonic() - self._began < _FIRST_SECONDS
            if early and not all(other.met or other.trouble for other in self.servers):
                return None
            if self.stopped.is_set() or len(self.at(server)) >= AHEAD:
                return None
            for task in self.tasks:
                if task.state == "waiting" and self._is_for(task, server):
                    task.state, task.server = "uploading", server.address
                    task.tries += 1
                    server.load += 1
                    return task
        return None

    def _is_for(self, task: Task, server: Server) -> bool:
        able = [other for other in self.servers if other.alive and other.address not in task.refused]
        free = [other.load for other in able if len(self.at(other)) < AHEAD]
        return server in able and server.load <= min(free, default=0)

    def is_wanted(self, task: Task) -> bool:
        """Whether a server that has nothing to do could take a task that waits in another one's queue."""
        with self._lock:
            if any(other.state == "waiting" for other in self.tasks):
                return False
            able = [other for other in self.servers if other.alive and other.address not in task.refused]
            return any(not self.at(other) and other.load == 0 for other in able)

    def hand_on(self, task: Task) -> None:
        """Let another server do a task that was taken out of its server's queue again."""
        with self._lock:
            task.tries -= 1
            task.wait_again()
            self.ledger.note(task)

    def queue(self, task: Task, prompt_id: str) -> None:
        """Note that a task is about to be queued at its server under this id."""
        with self._lock:
            task.prompt_id, task.state = prompt_id, "queued"
            self.ledger.note(task)

    def progress(self, server: Server, prompt_id: str, doing: str, done: float, total: float) -> None:
        """Note how far a prompt is, unless its task is further or no longer that server's."""
        with self._lock:
            for task in self.at(server):
                if task.prompt_id == prompt_id and task.state in ("queued", "running"):
                    task.start_running()
                    task.doing, task.done, task.total = doing, done, total

    def claim(self, task: Task, server: Server, prompt_id: str) -> bool:
        """Before the result is fetched: whether the task is still that server's."""
        with self._lock:
            if task.settled or (task.server, task.prompt_id) != (server.address, prompt_id):
                return False
            task.state = "fetching"
            return True

    def finish(self, task: Task, files: list[str]) -> None:
        """Note that a task's results are in their places."""
        with self._lock:
            task.files, task.state, task.error, task.fresh = files, "done", "", True
            task.seconds = time.monotonic() - task.began if task.began else 0.0
            self.ledger.note(task)

    def give_back(self, task: Task, reason: str) -> None:
        """Let any server do a task that its server has lost."""
        with self._lock:
            task.error = reason
            if task.tries > self._limits.retries:
                self.fail(task, reason)
            else:
                task.wait_again()
                self.ledger.note(task)

    def stumble(self, task: Task, reason: str) -> None:
        """Note that fetching has broken off; after too many times it is left for the next run."""
        with self._lock:
            task.stumbles += 1
            if task.stumbles > self._limits.retries:
                task.state, task.error = "failed", reason

    def refuse(self, task: Task, reason: str) -> None:
        """Let another server do a task that its server cannot do, if there is one."""
        with self._lock:
            task.refused.add(task.server)
            others = [s for s in self.servers if s.alive and s.address not in task.refused]
            if others and task.tries <= self._limits.retries:
                self.give_back(task, reason)
            else:
                self.fail(task, reason)

    def fail(self, task: Task, reason: str) -> None:
        """Give a task up."""
        with self._lock:
            task.state, task.error = "failed", reason
            self.ledger.note(task)

    def tend(self) -> None:
        """Let others take over what silent servers have; give up what nobody is left for."""
        with self._lock:
            now = time.monotonic()
            silent = [(s, now - s.down_since) for s in self.servers if s.down_since is not None]
            for server, seconds in silent:
                for task in self.at(server):
                    task.doing, task.done, task.total = f"no answer for {seconds:.0f} s", 0.0, 0.0
            down = [s for s in self.servers if s.down_since is not None and now - s.down_since > self._limits.patience]
            for task in self.tasks:
                if task.state not in SETTLED:
                    self._tend_task(task, down)

    def _tend_task(self, task: Task, down: list[Server]) -> None:
        able = [s for s in self.servers if s not in down and s.address not in task.refused]
        silent = next((s for s in down if s.address == task.server and task.state in AT_SERVER), None)
        if silent and any(s.alive for s in able):
            silent.abandoned.add(task.prompt_id)
            self.give_back(task, silent.trouble)
        elif silent and not able:  # the ledger keeps it: the next run looks for it there
            task.state, task.error = "failed", silent.trouble
        elif not silent and not able and task.state == "waiting":
            self.fail(task, task.error or "; ".join(s.trouble for s in down))
