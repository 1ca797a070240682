"""What a pass over a video found: what is missing, damaged, made up or resized, and what was done about it."""

from dataclasses import dataclass, field
from pathlib import Path

from ..errors import DamagedVideoError


@dataclass(frozen=True)
class Place:
    """Where in the chosen part of a video something is.

    Attributes:
        frame: its number, from 0; frames that are missing are counted too.
        seconds: time since the first frame; None if unknown.
    """

    frame: int
    seconds: float | None = None

    def __str__(self) -> str:
        number = f"frame {self.frame}"
        return f"{number} (time unknown)" if self.seconds is None else f"{number} ({self.seconds:.3f} s)"


@dataclass(frozen=True)
class Loss:
    """A kind of loss, in words.

    Attributes:
        one: what happened, said of one frame.
        many: the same of several; ``{n}`` is their number.
    """

    one: str
    many: str


MISSING = Loss("1 frame could not be decoded and is missing", "{n} frames could not be decoded and are missing")
PARTIAL = Loss(
    "1 frame is damaged and was repaired by the decoder; those that build on it may show traces",
    "{n} frames are damaged and were repaired by the decoder; those that build on them may show traces",
)
SUSPECT = Loss(
    "1 frame may be damaged: the stream has a hole there",
    "{n} frames may be damaged: the stream has holes there",
)
GAP = Loss("the times leap once, as if frames were missing", "the times leap {n} times, as if frames were missing")
UNDECODABLE = Loss("1 piece of the picture could not be decoded", "{n} pieces of the picture could not be decoded")
UNREADABLE = Loss("1 piece of the file could not be read", "{n} pieces of the file could not be read")
NO_TIME = Loss("1 frame had no time; it was made up", "{n} frames had no time; it was made up")
BAD_TIME = Loss(
    "1 frame had a time that ran backwards, repeated or leapt; it was made up",
    "{n} frames had times that ran backwards, repeated or leapt; they were made up",
)
RESTARTED = Loss(
    "the times start again once; what follows was put after what came before",
    "the times start again {n} times; what follows was put after what came before",
)
RESIZED = Loss(
    "1 frame has another size than the first; it was resized",
    "{n} frames have another size than the first; they were resized",
)


@dataclass
class _Tally:
    count: int
    first: Place
    last: Place

    def sentence(self, loss: Loss) -> str:
        if self.count == 1:
            return f"{loss.one}: near {self.first}."
        return f"{loss.many.format(n=self.count)}: between {self.first} and {self.last}."


@dataclass
class ReadReport:
    """What one pass found; it grows while the pass goes on.

    Attributes:
        frames: frames delivered, those skipped included.
        notes: what was done, and what else the user should know.
    """

    frames: int = 0
    notes: list[str] = field(default_factory=list)
    _tallies: dict[Loss, _Tally] = field(default_factory=dict)
    _others: list[str] = field(default_factory=list)

    @property
    def lost(self) -> list[str]:
        """Sentences on what is missing, damaged, made up or resized; empty for a sound file."""
        tallied = (tally.sentence(loss) for loss, tally in self._tallies.items())
        return [sentence[0].upper() + sentence[1:] for sentence in (*tallied, *self._others)]


class Ledger:
    """Writes a ``ReadReport``; with ``strict``, the first loss is an error.

    Args:
        path: the file, for messages.
        report: what is written.
        strict: raise instead.
    """

    def __init__(self, path: Path, report: ReadReport, *, strict: bool) -> None:
        self._path, self._report, self._strict = path, report, strict

    def lose(self, loss: Loss, place: Place) -> None:
        """Count a loss.

        Raises:
            DamagedVideoError: when strict.
        """
        tallies = self._report._tallies
        if loss in tallies:
            tallies[loss].count += 1
            tallies[loss].last = place
        else:
            tallies[loss] = _Tally(1, place, place)
        if self._strict:
            raise self._error(tallies[loss].sentence(loss))

    def lose_once(self, sentence: str, place: Place) -> None:
        """Write down a loss of its own kind.

        Raises:
            DamagedVideoError: when strict.
        """
        self._report._others.append(sentence)
        if self._strict:
            raise self._error(f"{sentence} This was noticed at {place}.")

    def note(self, sentence: str) -> None:
        """Say what was done, once."""
        if sentence not in self._report.notes:
            self._report.notes.append(sentence)

    def _error(self, sentence: str) -> DamagedVideoError:
        return DamagedVideoError(
            f"Expected {self._path} to be whole, got: {sentence[0].lower()}{sentence[1:]} "
            f"Mend the file, or read it without strict: good frames are then kept, and a report says what was lost."
        )
