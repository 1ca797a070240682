"""Where segments end and which of them one worker restores: index arithmetic, as frames become known."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..journal import Position
from ..segments import ends_segment


@dataclass(frozen=True)
class Stretch:
    """Consecutive frames: how many, and where they end."""

    frames: int
    end: Position


@dataclass(frozen=True)
class Piece:
    """Segments that one worker restores.

    Attributes:
        begin: number of its first frame.
        position: where it begins.
        segments: in order.
    """

    begin: int
    position: Position
    segments: tuple[Stretch, ...]

    @property
    def frames(self) -> int:
        """Of all segments."""
        return sum(segment.frames for segment in self.segments)

    @property
    def end(self) -> int:
        """Number of the first frame behind it."""
        return self.begin + self.frames

    def __str__(self) -> str:
        return f"frames {self.begin} to {self.end - 1}"


@dataclass(frozen=True)
class Rule:
    """How frames are grouped.

    Attributes:
        window: frames of a window.
        segment: frames of a segment.
        piece: frames of a piece.
        split: whether a piece may begin within a shot.
    """

    window: int
    segment: int
    piece: int
    split: bool = True


class Layout:
    """Groups frames into segments, as ``SegmentEncoder`` will, and those into pieces.

    A piece ends with the first segment that reaches its length, or with one at a cut from half its length on. It
    depends on nothing but the cuts and the rule, so that the same video is always cut up alike. ``begin`` is the number
    of the first frame of the piece that is not complete yet.

    Args:
        rule: lengths.
        begin: number of the first frame.
        position: where it is.
    """

    def __init__(self, rule: Rule, begin: int, position: Position) -> None:
        self._rule = rule
        self.begin = begin
        self._at = begin
        self._position = position
        self._origin = position.in_shot  # where windows of the shot are counted from
        self._segment = 0
        self._shots, self._in_shot = position.shots, position.in_shot
        self._segments: list[Stretch] = []

    def add(self, cut: bool) -> Iterator[Piece]:
        """Take the next frame, with whether a shot begins at it; yields the piece that is complete before it."""
        begins = cut or not self._in_shot
        if self._segment and (cut or (self._in_shot - self._origin) % self._rule.window == 0):
            yield from self._pause(Position(self._shots, 0 if cut else self._in_shot))
        if begins:
            self._shots, self._in_shot, self._origin = self._shots + 1, 0, 0
        self._in_shot += 1
        self._segment += 1
        self._at += 1

    def finish(self) -> Iterator[Piece]:
        """The video has ended; yields the last piece."""
        if self._segment:
            self._segments.append(Stretch(self._segment, Position(self._shots, 0)))
        if self._segments:
            yield self._piece()

    def _pause(self, position: Position) -> Iterator[Piece]:
        """A window ends here."""
        if not ends_segment(self._segment, position, self._rule.segment):
            return
        self._segments.append(Stretch(self._segment, position))
        self._segment = 0
        frames, at_cut = self._at - self.begin, not position.in_shot
        if (frames >= self._rule.piece and (self._rule.split or at_cut)) or (at_cut and 2 * frames >= self._rule.piece):
            yield self._piece()

    def _piece(self) -> Piece:
        piece = Piece(self.begin, self._position, tuple(self._segments))
        self.begin, self._position, self._segments = piece.end, piece.segments[-1].end, []
        return piece
