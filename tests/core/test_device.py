"""Devices by name, and how much memory they offer."""

import psutil
import pytest
import torch

from textovsr.core.config import DEVICE
from textovsr.core.device import is_out_of_memory, memory_budget, pick_device, quick_dtype
from textovsr.core.errors import SettingError


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda"), (False, "cpu")])
def test_automatic_takes_cuda_where_there_is_any(there: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert pick_device(DEVICE).type == expected


def test_a_named_device_is_taken() -> None:
    assert pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["warp drive", "cuda:99", "", "cpu:cpu"])
def test_a_device_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(SettingError, match=rf"such as cpu or cuda, got '{name}': .*; choose auto"):
        pick_device(name)


def test_a_cpu_offers_half_of_what_is_available() -> None:
    available = psutil.virtual_memory().available
    assert 0.3 * available < memory_budget(torch.device("cpu")) < 0.7 * available


@pytest.mark.parametrize(
    ("capability", "name", "dtype"),
    [
        ((6, 1), "NVIDIA GeForce GTX 1080 Ti", torch.float32),
        ((7, 5), "NVIDIA GeForce GTX 1660", torch.float32),
        ((7, 5), "NVIDIA GeForce RTX 2060", torch.float16),
        ((9, 0), "NVIDIA H200", torch.float16),
    ],
)
def test_half_precision_is_for_cards_that_are_quick_with_it(
    capability: tuple[int, int], name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: name)
    assert quick_dtype(torch.device("cuda")) == dtype
    assert quick_dtype(torch.device("cpu")) == quick_dtype(torch.device("mps")) == torch.float32


@pytest.mark.parametrize(
    "said", ["CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`", "MPS backend out of memory"]
)
def test_libraries_have_their_own_words_for_too_little_memory(said: str) -> None:
    assert is_out_of_memory(RuntimeError(said))
    assert not is_out_of_memory(ValueError(said))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
def test_a_gpu_offers_less_than_is_free() -> None:
    torch.cuda.empty_cache()
    free = torch.cuda.mem_get_info()[0]
    assert 0.5 * free < memory_budget(torch.device("cuda")) < free
