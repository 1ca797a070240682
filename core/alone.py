"""A job's frames restored in this process: a thread decodes, the caller's restores, another encodes."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import QUEUE
from .journal import Journal, Pause, Position
from .leads import lead_frames
from .restoration import Restoration, Result, after
from .restorer import Restorer
from .segments import SegmentEncoder
from .stages import Consumer, working_ahead
from .windows import WindowPlan

if TYPE_CHECKING:
    from .pipeline import Run


class Alone:
    """The engine of one process; see ``pipeline.Engine``.

    Args:
        restorer: the restoration system.
    """

    def __init__(self, restorer: Restorer) -> None:
        self._restorer = restorer

    def describe(self, height: int, width: int) -> tuple[str, WindowPlan]:
        """See ``Engine``."""
        return self._restorer.identity, self._restorer.plan(height, width)

    def open_journal(self, folder: Path, header: Mapping[str, Any]) -> Journal:
        """See ``Engine``."""
        return Journal(folder, header)

    def restore(self, run: "Run") -> None:
        """Decode, restore and encode what is not finished yet, segment by segment."""
        plan, begin = run.plan, run.journal.pause()
        lead = 0
        if begin.position.in_shot and not begin.state:  # what a cluster recorded: the state is made again
            lead = lead_frames(self._restorer, plan, begin.position.in_shot)
            begin = Pause(Position(begin.position.shots, begin.position.in_shot - lead))
        restoration = Restoration(self._restorer, plan, run.check, run.tell, ends=(lead,))
        encoder = SegmentEncoder(run.journal, run.spec, run.order.job)
        done = run.resumed
        with (
            working_ahead(run.frames(lead), max(QUEUE, plan.length), "textovsr-decode") as frames,  # the next window
            Consumer(encoder.run, QUEUE, "textovsr-encode") as encoding,
        ):
            for item in after(restoration.run(frames, begin), lead):
                encoding.put(item)
                if isinstance(item, Result):
                    done += 1
                    run.report(run.progress(done, item.image, item.frame.image))
        run.notes += encoder.notes
