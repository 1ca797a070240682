"""Devices by name, and how much memory they offer."""

import psutil
import pytest
import torch

from textovsr.core.config import DEVICE
from textovsr.core.device import memory_budget, pick_device
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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
def test_a_gpu_offers_less_than_is_free() -> None:
    free = torch.cuda.mem_get_info()[0]
    assert 0.5 * free < memory_budget(torch.device("cuda")) < free
