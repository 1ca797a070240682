"""The parts of benchmarks/report.py that a wrong table would not give away."""

import importlib
from pathlib import Path
from types import ModuleType

import av
import pytest

from textovsr.core.quality.clip_iqa import ClipIqa
from textovsr.core.quality.fidelity import psnr_y
from textovsr.core.quality.measures import MEASURES
from textovsr.tests.helpers.clip import small_clip

FOLDER = Path(__file__).parents[2] / "benchmarks"
SIZE = (192, 96)


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("report")


def test_every_measure_of_ours_is_timed(report: ModuleType) -> None:
    found = dict(report.costs(SIZE, ClipIqa(small_clip())))
    titles = {m.title for m in MEASURES.values() if not m.name.startswith("vmaf") and m.name != "warping_relative"}
    assert set(found) == titles | {"of it, the flow there and back", "VMAF and VMAF-NEG"}
    assert all(clock > 0 and processor >= 0 for clock, processor in found.values())


def test_what_is_timed_is_a_moving_scene_with_noise(report: ModuleType) -> None:
    first, second = report.moments(SIZE)[:2]
    assert first.now.image.shape == (3, SIZE[1], SIZE[0])
    assert first.now.reference[:, :, 2:].equal(second.now.reference[:, :, :-2])
    assert second.before[-1] is first.now
    assert 29 < psnr_y(first.now.image, first.now.reference) < 36


def test_the_films_of_the_memory_table_have_their_lengths(report: ModuleType, tmp_path: Path) -> None:
    with av.open(str(report.write_film(tmp_path / "film.mp4", 2))) as container:
        assert container.streams.video[0].frames == 2 * report.RATE
    assert report.SECONDS[1] >= 6 * report.SECONDS[0]
