"""The store of latents: in memory within its budget, beyond it in a file that leaves nothing behind."""

import errno
import gc
import os
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core import latents as module
from textovsr.core.errors import DiskFullError, ShapeError
from textovsr.core.latents import LatentStore, allocate_latents

FRAME = (4, 6, 5)
BYTES = 4 * 6 * 5 * 4


def chunks(lengths: list[int], dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(length, *FRAME, generator=generator).to(dtype) for length in lengths]


def stored(parts: list[Tensor], folder: Path, budget: int) -> Tensor:
    with LatentStore(folder, budget) as store:
        for part in parts:
            store.append(part)
        return store.finish()


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=6), frames=st.integers(0, 20))
def test_what_goes_in_comes_out_whatever_the_budget(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], frames: int
) -> None:
    parts = chunks(lengths)
    torch.testing.assert_close(
        stored(parts, tmp_path_factory.getbasetemp(), frames * BYTES), torch.cat(parts), rtol=0, atol=0
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("budget", [0, 10**9])
def test_every_type_is_kept(tmp_path: Path, dtype: torch.dtype, budget: int) -> None:
    parts = chunks([3, 2], dtype)
    result = stored(parts, tmp_path, budget)
    assert result.dtype == dtype
    assert torch.equal(result, torch.cat(parts))


def test_within_the_budget_no_file_is_made(tmp_path: Path) -> None:
    with LatentStore(tmp_path / "missing", 5 * BYTES) as store:
        for part in chunks([3, 2]):
            store.append(part)
        assert not store.spilled
        assert store.finish().shape == (5, *FRAME)


def mapped_files(folder: Path) -> list[str]:
    """What this process has mapped of a folder."""
    return [line for line in Path("/proc/self/maps").read_text("utf-8").splitlines() if str(folder) in line]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks into Linux's list of mapped files")
def test_beyond_it_a_file_that_goes_with_the_last_tensor_over_it(tmp_path: Path) -> None:
    parts = chunks([3, 2, 4])
    result = stored(parts, tmp_path, 4 * BYTES)
    assert len(mapped_files(tmp_path)) == 1
    part = result[2:5].movedim(0, 1)[None]
    del result
    gc.collect()
    assert torch.equal(part[0].movedim(1, 0), torch.cat(parts)[2:5])  # a part keeps it
    part.add_(1)  # and may be written to
    del part
    gc.collect()
    assert not mapped_files(tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unlike_chunk_is_refused(tmp_path: Path) -> None:
    store = LatentStore(tmp_path, 0)
    store.append(torch.zeros(1, *FRAME))
    with pytest.raises(ShapeError, match="must be alike"):
        store.append(torch.zeros(1, 4, 6, 6))
    with pytest.raises(ShapeError, match="must be alike"):
        store.append(torch.zeros(1, *FRAME, dtype=torch.float16))
    store.close()


def test_an_empty_store_has_nothing_to_give(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="got none"):
        LatentStore(tmp_path, 0).finish()


class Usage(NamedTuple):
    """As of ``shutil``."""

    total: int
    used: int
    free: int


def test_a_disk_that_is_too_small_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage(10**9, 0, 50 * BYTES))
    first = torch.zeros(2, *FRAME)

    def begin(expected: int, budget: int) -> None:
        with LatentStore(tmp_path, budget * BYTES) as store:
            store.expected = expected
            store.append(first)

    with pytest.raises(DiskFullError, match="free some space"):
        begin(expected=60, budget=10)
    begin(expected=40, budget=10)
    begin(expected=60, budget=60)  # needs no disk
    with pytest.raises(DiskFullError, match="free some space"):
        allocate_latents((60, *FRAME), torch.float32, tmp_path, 0)


def test_a_disk_that_fills_up_is_said_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, data: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def close(self) -> None:
            pass

    monkeypatch.setattr(module.tempfile, "TemporaryFile", lambda **options: Full())
    with LatentStore(tmp_path, 0) as store, pytest.raises(DiskFullError, match="is full"):
        store.append(torch.zeros(2, *FRAME))


@pytest.mark.parametrize("budget", [0, 10**9])
@pytest.mark.parametrize("fallocate", [True, False])
def test_zeros_to_fill_in(tmp_path: Path, budget: int, fallocate: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not fallocate:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    tensor = allocate_latents((1, 4, 300, 40, 30), torch.float16, tmp_path, budget)
    assert not tensor.any()
    values = torch.randn(1, 4, 40, 30).half()
    tensor[:, :, 7] = values
    assert torch.equal(tensor[:, :, 7], values)
    assert not tensor[:, :, 8:].any()
    assert not list(tmp_path.iterdir())
