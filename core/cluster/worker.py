"""What restores on the machines, as an actor of Ray."""

from collections.abc import Sequence
from pathlib import Path

import torch

from ..device import pick_device
from ..leads import lead_frames
from ..restorer import Restorer
from ..windows import WindowPlan
from .piece import Assignment, Made, Workbench, remove_segments, restore_piece
from .recipe import Recipe
from .survey import Task

_FAR = 1 << 40  # deeper in a shot than any


class Worker:
    """Restores pieces, one at a time, while their files are fetched by another thread.

    Args:
        recipe: of the restorer.
        files: that it needs, where this machine has them.
        device: where to compute.
        folder: for segments.
        threads: for PyTorch; 0 leaves them.
    """

    def __init__(self, recipe: Recipe, files: Sequence[Path], device: str, folder: Path, threads: int) -> None:
        self._recipe, self._files, self._device = recipe, files, device
        self._threads, self._folder = threads, folder
        self._restorer: Restorer
        self._begin = self._frames = 0

    def describe(self, height: int, width: int, lead: int | None) -> tuple[str, WindowPlan, int]:
        """Make the restorer: its identity, its plan for frames of this size, and its lead; -1 is the whole shot.

        Raises:
            WeightsError: the files cannot be used.
        """
        if self._threads:
            torch.set_num_threads(self._threads)
        self._restorer = self._recipe.make(self._files, pick_device(self._device))
        plan = self._restorer.plan(height, width)
        frames = lead_frames(self._restorer, plan, _FAR, lead)
        return self._restorer.identity, plan, -1 if frames == _FAR else frames

    def restore(self, task: Task, assignment: Assignment) -> tuple[list[Made], list[str]]:
        """Restore a piece: its segments, and sentences for the user; see ``restore_piece`` for the errors."""
        if self._threads:
            torch.set_num_threads(self._threads)  # this thread may be a new one
        self._frames, self._begin = 0, task.piece.begin
        bench = Workbench(self._restorer, self._folder, self._count)
        try:
            return restore_piece(task, assignment, bench), bench.notes
        except BaseException:
            remove_segments(self._folder, task.piece, assignment.job)
            raise

    def frames(self, begin: int) -> int:
        """How many frames of the piece that begins at this one are restored; 0 unless it is the one at hand."""
        return self._frames if begin == self._begin else 0

    def fetch(self, name: str, offset: int, size: int) -> bytes:
        """A part of a segment."""
        with (self._folder / name).open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def drop(self, names: Sequence[str]) -> None:
        """Delete segments that have arrived."""
        for name in names:
            (self._folder / name).unlink(missing_ok=True)

    def _count(self) -> None:
        self._frames += 1
