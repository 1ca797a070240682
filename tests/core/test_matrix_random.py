"""Any number of frames, of any size, at any times, in segments of any length: all come out, when they should."""

from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from textovsr.core.config import EncodeConfig
from textovsr.tests.helpers.matrix import HD, Case
from textovsr.tests.helpers.matrix_checks import CHECKS, run

BASES = {Fraction(1, 1000): 1, Fraction(1, 90_000): 90, Fraction(1, 25): 1, Fraction(1001, 30_000): 1}
"""Time bases of sources, and the least ticks between frames: a millisecond, since Matroska knows no less."""

RESULTS = (
    (".mp4", EncodeConfig("h264", crf=1, preset="ultrafast"), "yuv420p"),
    (".mov", EncodeConfig("hevc", crf=1, preset="ultrafast"), "yuv420p"),
    (".mkv", EncodeConfig("ffv1"), "yuv444p"),
    (".webm", EncodeConfig("av1", crf=1), "yuv420p"),
    (".mov", EncodeConfig("prores"), "yuv422p10le"),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    base = draw(st.sampled_from(list(BASES)))
    gaps = draw(st.lists(st.integers(BASES[base], 2000), max_size=14))
    begin = draw(st.sampled_from([0, 1000, draw(st.integers(0, 5000))]))
    output, encode, stored = draw(st.sampled_from(RESULTS))
    return Case(
        "random",
        "a.mp4",
        pix_fmt="yuv444p",
        tags=HD,
        size=(draw(st.integers(16, 40)), draw(st.integers(16, 40))),
        times=tuple(begin + sum(gaps[:n]) for n in range(len(gaps) + 1)),
        base=base,
        more={
            "options": {"crf": "0", "bf": draw(st.sampled_from("03")), "x264-params": "b-adapt=0:scenecut=0"},
            "container": {"movie_timescale": "90000"},  # of the edit that the first frame's time is
        },
        output=output,
        encode=encode,
        stored=stored,
        scale=2,
        segment=draw(st.integers(0, 6)),
        tolerance=8 if encode.codec == "av1" else 4,  # in pictures of a block or two
    )


@settings(max_examples=50, deadline=None)
@given(case=cases())
def test_all_frames_come_out_in_time(case: Case) -> None:
    with TemporaryDirectory() as folder:
        outcome = run(case, Path(folder))
        for check in CHECKS:
            check(outcome)
