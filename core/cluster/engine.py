"""A job on a Ray cluster: who restores what is decided here, and what comes back is recorded."""

import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch

from ..job import Report, Restored, Source
from ..journal import Journal
from ..pipeline import Order, Run, carry_out
from ..restoration import ShotFrame
from ..segments import segment_length
from ..stages import Consumer
from ..tiles import Check
from ..windows import WindowPlan
from .board import Board
from .config import LEAD_SHARE, PATIENCE, PIECE_SEGMENTS, ClusterConfig
from .depot import file_id
from .layout import Layout, Rule
from .minder import Undertaking
from .piece import Assignment
from .pool import Pool
from .reading import settled
from .recipe import Recipe
from .session import joined
from .shelf import Shelf, ShelvedJournal
from .survey import Reach, Task, survey

log = logging.getLogger(__name__)

_LOOK = 0.25  # seconds between two looks at what has come back


def restore_on_cluster(
    order: Order, recipe: Recipe, wish: ClusterConfig, report: Report, check: Check = lambda: None
) -> Restored:
    """Restore a video on a Ray cluster; as ``restore_video``, whose job it takes up and which can take up this one.

    Pieces of the video are restored side by side. They are the same whatever is lost or tried again; where one begins
    within a shot, what is carried there is made anew from some frames before it (``leads``).

    Args:
        order: what is to be done.
        recipe: how workers make their restorer.
        wish: where, and how the work is shared out.
        report: called whenever frames have come back; its ``newest`` has no pixels.
        check: called about every quarter of a second; raises to cancel.

    Raises:
        ClusterError: the cluster cannot be joined, no machine can do the work, or a piece fails again and again.
        TextOVSRError: as ``restore_video``.
    """
    with joined(wish.address) as ray:
        engine = ClusterEngine(ray, order.source, recipe, wish, check)
        with engine.working():
            return carry_out(order, engine, report, check)


class ClusterEngine:
    """The engine of a cluster; see ``pipeline.Engine``.

    Args:
        ray: the module, joined to the cluster.
        source: of the job.
        recipe: how workers make their restorer.
        wish: how the work is shared out.
        check: raises to cancel.
    """

    def __init__(self, ray: Any, source: Source, recipe: Recipe, wish: ClusterConfig, check: Check) -> None:
        self._ray, self._source, self._recipe, self._check = ray, source, recipe, check
        self._wish = replace(wish, device="cpu") if recipe.on_processors else wish
        self._board = Board()
        self._pool: Pool | None = None

    @contextmanager
    def working(self) -> Iterator[None]:
        """Whatever ends the block, the cluster is left as it was."""
        try:
            yield
        finally:
            self._end()

    def _end(self) -> None:
        self._board.close()
        if self._pool is not None:
            self._pool.close()

    def describe(self, height: int, width: int) -> tuple[str, WindowPlan]:
        """See ``Engine``: what the first worker says."""
        files = [file_id(path, f"{number}/{path.name}") for number, path in self._numbered()]
        self._job = Undertaking(self._ray, self._wish, self._recipe, (height, width), self._board)
        self._resumed = 0
        self._pool = Pool(self._job, files)
        impatient = time.monotonic() + PATIENCE
        while self._job.description is None:
            self._check()
            self._board.watch(_LOOK)
            self._pool.refresh()
            if time.monotonic() > impatient:
                log.warning("No worker is ready yet; perhaps others use the machines: `ray status` tells.")
                impatient = math.inf
        return self._job.description.identity, self._job.description.plan

    def open_journal(self, folder: Path, header: Mapping[str, Any]) -> Journal:
        """See ``Engine``: a journal with a shelf."""
        self._journal = ShelvedJournal(folder, header)
        return self._journal

    def restore(self, run: Run) -> None:
        """See ``Engine``: share out what is missing, and record what comes back."""
        assert self._pool is not None
        self._shelf = self._job.shelf = Shelf(self._journal)
        self._shelf.commit()
        source = settled(run.order.source, run.reader)
        self._job.assignment = partial(_assignment, source, run)
        self._job.begun.set()
        run.resumed = run.journal.frames
        self._resumed = run.resumed + self._shelf.frames
        with Consumer(lambda _: self._survey(run), 1, "textovsr-survey"), self._ending():
            told = 0
            while not self._board.watch(_LOOK):
                told = self._look(run, told)
            self._look(run, told)
        self._shelf.remove()

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Whatever ends the block, the survey ends with it, and nothing arrives any more in a folder that may go."""
        try:
            yield
        finally:
            self._shelf.close()
            self._end()

    def _look(self, run: Run, told: int) -> int:
        """Cancel if asked to, record what has its turn, and tell how far the work is; returns the frames told."""
        assert self._pool is not None
        run.check()
        self._shelf.commit()
        self._pool.refresh()
        while self._board.notes:
            run.tell(self._board.notes.popleft())
        done = run.journal.frames + self._shelf.frames + self._pool.frames
        if done > told:
            run.report(replace(run.progress(done, torch.empty(3, 0, 0)), resumed=self._resumed))
        return max(done, told)

    def _survey(self, run: Run) -> None:
        """Decode the source once, and put pieces on the board as they become known."""
        try:
            for task in self._tasks(run):
                if self._board.over:
                    return
                if not self._shelf.holds(task.piece):
                    self._board.add(task)
            self._board.complete()
        except BaseException as error:  # noqa: BLE001  (raised again where the job is watched)
            self._board.fail(error)

    def _tasks(self, run: Run) -> Iterator[Task]:
        assert self._job.description is not None
        needed, plan, position = self._job.description.lead, run.plan, run.journal.pause().position
        lead = position.in_shot if needed < 0 else -(-needed // plan.length) * plan.length
        segment = run.order.job.segment or segment_length(*run.size)
        piece = self._wish.piece or max(PIECE_SEGMENTS * segment, LEAD_SHARE * needed)
        layout = Layout(Rule(plan.length, segment, piece, split=needed >= 0), run.resumed, position)
        first = min(lead, position.in_shot)
        return survey(
            self._until_over(run.frames(first)), run.resumed - first, layout, Reach(lead, plan.look_ahead + 1)
        )

    def _until_over(self, frames: Iterator[ShotFrame]) -> Iterator[ShotFrame]:
        return takewhile(lambda _: not self._board.over, frames)

    def _numbered(self) -> list[tuple[int, Path]]:
        """The source and the recipe's files, each with the number of its folder."""
        paths = [self._source.path, *self._recipe.files]
        folders = list(dict.fromkeys(path.absolute().parent for path in paths[1:]))
        return [(0, paths[0]), *((1 + folders.index(path.absolute().parent), path) for path in paths[1:])]


def _assignment(source: Source, run: Run, path: Path) -> Assignment:
    """What all pieces have in common, on a machine that has the source at ``path``."""
    return Assignment(replace(source, path=path), run.order.job, run.plan, run.spec)
