"""The kept corpus: what fuzzing once found to be wrong, and what reaches far, stays right."""

import sys

import pytest

if sys.platform != "linux":
    pytest.skip("needs limits of memory and time", allow_module_level=True)

from .limited import CORPUS
from .limiting import Ends, run_limited

_KEPT = sorted(f"{path.parent.name}/{path.name}" for path in CORPUS.glob("*/*"))
_LARGEST = 300_000  # bytes of all


@pytest.fixture(scope="module")
def ends() -> Ends:
    return run_limited("corpus")


@pytest.mark.parametrize("name", _KEPT)
def test_nothing_but_our_errors_comes_out(ends: Ends, name: str) -> None:
    assert "error" not in ends[name], f"{ends[name]['error']}: {ends[name]['what']}"


def test_every_target_has_some_and_all_are_small() -> None:
    from .targets import TARGETS

    assert {name.partition("/")[0] for name in _KEPT} == set(TARGETS)
    assert sum(path.stat().st_size for path in CORPUS.glob("*/*")) < _LARGEST
