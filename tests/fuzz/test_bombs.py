"""Hostile videos: each ends in an error that says what to do, or is read, with little memory and time."""

import sys

import pytest

if sys.platform != "linux":
    pytest.skip("needs limits of memory and time", allow_module_level=True)

from .bombs import READ, REFUSED
from .limiting import Ends, run_limited


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Ends:
    folder = tmp_path_factory.mktemp("bombs")
    for name, make in {**READ, **{name: make for name, (make, _) in REFUSED.items()}}.items():
        make(folder / name)
    return run_limited("bombs", folder)


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused(ends: Ends, name: str) -> None:
    assert ends[name].get("error") == REFUSED[name][1], ends[name]["what"]
    assert ends[name]["what"].startswith("Expected ")
    assert ";" in ends[name]["what"]  # what to do comes after it


@pytest.mark.parametrize("name", READ)
def test_it_is_read(ends: Ends, name: str) -> None:
    assert "error" not in ends[name], ends[name]["what"]
    assert int(ends[name]["what"].split()[0]) >= 1


@pytest.mark.parametrize(
    "name",
    ["samples.mp4", "many.mp4", "chunks.mp4", "edits.mp4", "fragment.mp4", "fragments.mp4", "packed.mov", "boxes.mp4"],
)
def test_ffmpeg_is_not_asked_about_tables_that_lie(ends: Ends, name: str) -> None:
    assert "bytes claim" in ends[name]["what"]
