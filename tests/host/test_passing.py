"""Results in the temporary folder: there as long as anything refers to them, gone afterwards, kept when shown."""

import gc
import importlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from textovsr.core.job import Source


@pytest.fixture
def passing(pack: ModuleType) -> Any:
    return importlib.import_module(f"{pack.__name__}.nodes.host.passing")


def written(passing: Any) -> Path:
    path = passing.passing_path(".mp4")
    path.write_bytes(b"frames")
    return path


def test_a_result_goes_with_the_last_who_knows_it(passing: Any) -> None:
    path = written(passing)
    name = str(path)
    source = Source(path)
    part = replace(source, start=1.0)
    del path, source
    gc.collect()
    assert Path(name).exists(), "a part of it is still there"
    del part
    gc.collect()
    assert not Path(name).exists()


def test_the_newest_that_are_shown_stay(passing: Any) -> None:
    names = [str(passing.for_canvas(passing.for_canvas(written(passing)))) for _ in range(passing.SHOWN + 3)]
    gc.collect()
    assert [Path(name).exists() for name in names] == [False] * 3 + [True] * passing.SHOWN


def test_what_is_known_by_name_stays(passing: Any) -> None:
    path = written(passing)
    name = str(passing.kept(path))
    del path
    gc.collect()
    assert Path(name).exists()
    assert passing.kept(Path(name)) == Path(name)


def test_a_result_that_was_never_written_or_is_gone_already(passing: Any) -> None:
    path = passing.passing_path(".mp4")
    name, path = path.name, written(passing)
    path.unlink()
    del path
    gc.collect()
    assert name.endswith(".mp4")


def test_a_passing_path_is_a_path(passing: Any) -> None:
    path = written(passing)
    assert path == Path(path)
    beside = path.with_suffix(".csv")
    del beside
    gc.collect()
    assert path.read_bytes() == b"frames", "a path made of it takes nothing along"
