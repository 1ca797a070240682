"""A thread that minds one worker: starts it, gives it pieces, fetches what it makes, and starts it again if it dies."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CancelledError, ClusterError, TextOVSRError
from ..windows import WindowPlan
from .board import Board, first_line
from .config import ATTEMPTS, CHUNK, ClusterConfig
from .machines import Share, Site
from .piece import Assignment, Made
from .recipe import Recipe
from .shelf import Shelf
from .survey import Task
from .worker import Worker

_POLL = 0.5  # seconds between two looks at how far a worker is
_PAUSE = 1.0  # seconds before a worker is started again


@dataclass(frozen=True)
class Description:
    """What a worker says of its restorer: identity, plan, and the frames of its lead, -1 for a whole shot."""

    identity: str
    plan: WindowPlan
    lead: int


@dataclass
class Undertaking:
    """What all minders of a job share.

    Attributes:
        ray: the module.
        wish: how work is shared out.
        recipe: of the restorer.
        size: height and width of the source's frames.
        board: the pieces.
        description: what the first worker said; all others have to say the same.
        begun: set when ``assignment`` and ``shelf`` are.
    """

    ray: Any
    wish: ClusterConfig
    recipe: Recipe
    size: tuple[int, int]
    board: Board = field(default_factory=Board)
    description: Description | None = None
    begun: threading.Event = field(default_factory=threading.Event)
    assignment: Callable[[Any], Assignment] = field(init=False)
    shelf: Shelf = field(init=False)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def agree(self, found: Description) -> None:
        """Take the first worker's word, and hold the others to it.

        Raises:
            ClusterError: this one would make something else.
        """
        with self.lock:
            self.description = self.description or found
            if found.identity != self.description.identity:
                raise ClusterError(
                    f"Expected every worker to restore with {self.description.identity!r}, got {found.identity!r}; "
                    "leave out the machines that differ, or name the device."
                )


class Minder:
    """Minds one worker until nothing is left to do, or it cannot be kept alive.

    Args:
        job: what all minders share.
        site: of the worker's machine.
        share: what the worker gets of it.
        name: of the worker, no other's.
    """

    def __init__(self, job: Undertaking, site: Site, share: Share, name: str) -> None:
        self._job, self._site, self._share, self.name = job, site, share, name
        self._worker: Any = None
        self._scratch: Path | None = None
        self._held: list[Task] = []
        self._going = self._fetching = 0
        self._failures = 0  # since it last made something
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._mind, name=f"textovsr-{name}", daemon=True)
        self._thread.start()

    @property
    def frames(self) -> int:
        """Frames that are restored and have not arrived."""
        return self._going + self._fetching

    @property
    def alive(self) -> bool:
        """Whether it still minds its worker."""
        return self._thread.is_alive()

    def kill(self) -> None:
        """End the worker; the thread ends by itself then."""
        if self._worker is not None:
            self._job.ray.kill(self._worker, no_restart=True)

    def join(self, seconds: float) -> None:
        """Wait for the thread."""
        self._thread.join(seconds)

    def _mind(self) -> None:
        while self._failures < ATTEMPTS and not self._job.board.over:
            try:
                self._work()
                return
            except self._job.ray.exceptions.RayError as error:
                cause = getattr(error, "cause", None)
                self._failures = ATTEMPTS if isinstance(cause, TextOVSRError) else self._failures + 1
                self._lost(cause if isinstance(cause, TextOVSRError) else error)
            except (CancelledError, ClusterError) as error:
                self._lost(error)
                return
            except BaseException as error:  # noqa: BLE001  (such as a full disk here; told to whoever runs the job)
                self._job.board.fail(error)
                return

    def _lost(self, error: BaseException) -> None:
        """The worker, or its machine, is not there any more."""
        board, self.error = self._job.board, error
        self._going = self._fetching = 0
        board.leave(self.name)
        held, self._held = self._held, []
        if board.over:
            return
        self.kill()  # it may be out of reach only, and write on
        board.notes.append(f"The worker {self.name} was lost: {first_line(error)}")
        for task in held:
            board.failed(task, self.name, error)
        self._site.clear(self._scratch)
        time.sleep(_PAUSE)

    def _work(self) -> None:
        ray, job = self._job.ray, self._job
        paths, self._scratch = self._site.set_up()
        options = self._share.options(ray, self._site.machine)
        worker = ray.remote(Worker).options(**options, max_concurrency=3, max_restarts=0)
        self._worker = worker.remote(job.recipe, paths[1:], self._share.device, self._scratch, self._share.cpus)
        job.agree(Description(*self._get(self._worker.describe.remote(*job.size, job.wish.lead))))
        while not job.begun.wait(_POLL):
            if job.board.over:
                return
        assignment = ray.put(job.assignment(paths[0]))
        job.board.enter(self.name)
        self._restore_all(assignment)
        job.board.leave(self.name)

    def _restore_all(self, assignment: Any) -> None:
        """Restore pieces; while one is restored, the files of the one before are fetched."""
        board, ready = self._job.board, None
        while True:
            task = board.take(self.name, wait=ready is None)
            going_on = None if task is None else self._begin(task, assignment)
            if ready is not None:
                self._fetch(*ready)
            elif task is None:
                return
            ready = None if task is None else self._outcome(task, going_on)

    def _begin(self, task: Task, assignment: Any) -> Any:
        self._held.append(task)
        return self._worker.restore.remote(task, assignment)

    def _outcome(self, task: Task, going_on: Any) -> tuple[Task, list[Made]] | None:
        """A piece, and what the worker made of it; None if that failed: it is tried elsewhere."""
        try:
            made, notes = self._get(going_on, task)
        except self._job.ray.exceptions.RayTaskError as error:
            self._held.remove(task)
            self._job.board.failed(task, self.name, error.cause)
            return None
        finally:
            self._going = 0
        self._job.board.notes.extend(notes)
        self._fetching = task.piece.frames
        return task, made

    def _get(self, reference: Any, task: Task | None = None) -> Any:
        """Wait for a result, looking now and then how far the worker is with its piece."""
        ray = self._job.ray
        while not ray.wait([reference], timeout=_POLL)[0]:
            if self._job.board.over:
                raise CancelledError("The job is over.")
            if task is not None:
                self._going = ray.get(self._worker.frames.remote(task.piece.begin))
        return ray.get(reference)

    def _fetch(self, task: Task, made: list[Made]) -> None:
        """Bring the segments of a piece to the shelf, and put it down there."""
        for segment in made:
            self._job.shelf.receive(segment, self._chunks(segment))
        self._worker.drop.remote([segment.name for segment in made])
        self._fetching = self._failures = 0  # before the shelf counts its frames: none is counted twice
        self._job.shelf.put(task.piece.begin, made)
        self._held.remove(task)
        self._job.board.done()

    def _chunks(self, segment: Made) -> Iterator[bytes]:
        for offset in range(0, segment.size, CHUNK):
            yield self._job.ray.get(self._worker.fetch.remote(segment.name, offset, CHUNK))
