"""The workers of a job: one for each card or group of processors of every machine, as machines come and go."""

import time
from collections.abc import Sequence

from ..errors import ClusterError, TextOVSRError
from .config import CLOSING, REFRESH
from .depot import FileId
from .machines import Site, find_machines, shares, wants_cards
from .minder import Minder, Undertaking


class Pool:
    """Starts workers and ends them.

    Args:
        job: what they share.
        files: that they need: the source, and what the restorer is made of.
    """

    def __init__(self, job: Undertaking, files: Sequence[FileId]) -> None:
        self._job, self._files = job, files
        self._sites: dict[str, Site] = {}
        self._minders: list[Minder] = []
        self._cards = wants_cards(job.wish.device, find_machines(job.ray))
        self._next = 0.0
        self.refresh()

    @property
    def frames(self) -> int:
        """Frames of the pieces that are being restored."""
        return sum(minder.frames for minder in self._minders)

    def refresh(self) -> None:
        """Look now and then for new machines.

        Raises:
            ClusterError: there is no worker, and none can be had.
        """
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + REFRESH
        for machine in find_machines(self._job.ray):
            if machine.node not in self._sites:
                self._sites[machine.node] = site = Site(self._job.ray, machine, self._files)
                for number, share in enumerate(shares(machine, self._job.wish, self._cards)):
                    name = f"{machine.name}/{machine.node[:6]}/{number}"
                    if not self._job.wish.workers or len(self._alive()) < self._job.wish.workers:
                        self._minders.append(Minder(self._job, site, share, name))
        if not self._alive() and not self._job.board.over:
            raise self._nobody()

    def close(self) -> None:
        """End all workers and delete what the job brought to the machines."""
        self._clear()
        for minder in self._minders:
            minder.join(CLOSING)
        self._clear()  # of what a minder was starting just then

    def _clear(self) -> None:
        for minder in self._minders:
            minder.kill()
        for site in self._sites.values():
            site.close()

    def _alive(self) -> list[Minder]:
        return [minder for minder in self._minders if minder.alive]

    def _nobody(self) -> TextOVSRError:
        errors = [minder.error for minder in self._minders if minder.error is not None]
        if errors and isinstance(errors[-1], TextOVSRError):
            return errors[-1]
        if errors:
            return ClusterError(
                f"Expected at least one worker to stay alive, but all were lost, the last with: {errors[-1]}; look "
                "into Ray's logs. What is finished is kept."
            )
        what = "graphics card" if self._cards else "processor"
        return ClusterError(f"Expected a machine with a {what} that Ray may use, got none; start Ray with some.")
