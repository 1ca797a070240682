"""Grouping frames into segments and pieces: as one process does, whatever the cuts are."""

from hypothesis import given, settings
from hypothesis import strategies as st

from textovsr.core.cluster.layout import Layout, Piece, Rule
from textovsr.core.journal import Position
from textovsr.core.segments import ends_segment
from textovsr.core.windows import WindowPlan, slide


def laid_out(rule: Rule, cuts: list[bool], begin: int = 0, position: Position | None = None) -> list[Piece]:
    layout = Layout(rule, begin, position or Position())
    pieces = [piece for cut in cuts for piece in layout.add(cut)]
    return [*pieces, *layout.finish()]


def segments_of_one_process(rule: Rule, cuts: list[bool]) -> list[tuple[int, Position]]:
    """The windows of every shot, and the segments that the encoder makes of them."""
    starts = [0, *(i for i, cut in enumerate(cuts) if cut and i)]
    found, frames, pause = [], 0, Position()
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(cuts)], strict=True), 1):
        for window in slide(range(start, end), WindowPlan(rule.window)):
            frames += window.kept
            pause = Position(number, 0 if window.last else window.start + window.kept)
            if ends_segment(frames, pause, rule.segment):
                found.append((frames, pause))
                frames = 0
    return [*found, (frames, pause)] if frames else found


rules = st.builds(Rule, st.integers(1, 9), st.integers(1, 20), st.integers(1, 50), st.booleans())


@settings(deadline=None)
@given(rule=rules, cuts=st.lists(st.booleans(), min_size=1, max_size=120))
def test_segments_end_where_one_process_ends_them(rule: Rule, cuts: list[bool]) -> None:
    pieces = laid_out(rule, [False, *cuts])
    segments = [(segment.frames, segment.end) for piece in pieces for segment in piece.segments]
    assert segments == segments_of_one_process(rule, [False, *cuts])


@settings(deadline=None)
@given(rule=rules, cuts=st.lists(st.booleans(), min_size=1, max_size=120), taken=st.integers(0, 200))
def test_a_job_taken_up_at_a_piece_is_cut_up_as_before(rule: Rule, cuts: list[bool], taken: int) -> None:
    cuts = [False, *cuts]
    pieces = laid_out(rule, cuts)
    assert [piece.begin for piece in pieces[1:]] == [piece.end for piece in pieces[:-1]]
    rest = pieces[taken % len(pieces) :]
    begin = rest[0].begin
    assert laid_out(rule, [False, *cuts[begin + 1 :]], begin, rest[0].position) == rest
    if not rule.split:
        assert not any(piece.position.in_shot for piece in pieces)


def test_a_piece_ends_with_a_shot_if_it_can() -> None:
    cuts = [index in (20, 50) for index in range(100)]
    pieces = laid_out(Rule(window=4, segment=8, piece=32), cuts)
    assert [(piece.begin, piece.end) for piece in pieces] == [(0, 20), (20, 50), (50, 82), (82, 100)]
    assert [piece.position.in_shot for piece in pieces] == [0, 0, 0, 32]
