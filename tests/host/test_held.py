"""Networks are held as long as ComfyUI has them loaded, and given back when it unloads them."""

import ctypes
import gc
import importlib
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest
import torch

from textovsr.core.config import RecurrentConfig
from textovsr.tests.helpers.diffusion_files import SAVE
from textovsr.tests.helpers.networks import save_tiny


@pytest.fixture
def ours(pack: ModuleType) -> Any:
    return importlib.import_module(f"{pack.__name__}.nodes.host.models")


@pytest.fixture
def weights(host: Any, tmp_path: Path) -> Callable[[str], str]:
    """Puts tiny weights where ComfyUI looks for ours; returns their name."""
    host.add_model_folder_path("textovsr", str(tmp_path))
    return lambda name: save_tiny(tmp_path / name).name


def network(ours: Any, name: str) -> "weakref.ref[Any]":
    """The network that a run with these weights used."""
    return weakref.ref(ours.loaded_restorer(name, RecurrentConfig()).network)


def test_a_network_is_used_again_until_the_host_unloads_it(ours: Any, weights: Callable[[str], str]) -> None:
    name = weights("again.safetensors")
    first = network(ours, name)
    assert first() is not None
    assert network(ours, name)() is first()
    ours.comfy.model_management.unload_all_models()
    gc.collect()
    assert first() is None, "freed"
    again = network(ours, name)
    assert again() is not None, "loaded again"
    assert next(again().parameters()).device == torch.device("cpu")


def test_a_run_keeps_what_it_computes_with(ours: Any, weights: Callable[[str], str]) -> None:
    restorer = ours.loaded_restorer(weights("running.safetensors"), RecurrentConfig())
    ours.comfy.model_management.unload_all_models()
    gc.collect()
    assert sum(weight.numel() for weight in restorer.network.parameters()) > 0


def test_the_newest_few_are_held(ours: Any, weights: Callable[[str], str]) -> None:
    seen = [network(ours, weights(f"{number}.safetensors")) for number in range(4)]
    gc.collect()
    assert [ref() is None for ref in seen] == [True, True, False, False]
    ours.comfy.model_management.unload_all_models()


def test_a_systems_networks_go_together(ours: Any, host: Any, tmp_path: Path) -> None:
    host.add_model_folder_path("textovsr", str(tmp_path))
    SAVE["DiffVSR"](tmp_path)
    parts = ours.loaded_parts("DiffVSR")
    names = list(parts._patchers)
    seen = [weakref.ref(patcher.model.network) for patcher in parts._patchers.values()]
    parts.use(names[0])
    parts.use(names[1])
    assert ours.loaded_parts("DiffVSR") is parts
    del parts
    gc.collect()
    assert all(ref() is not None for ref in seen)
    ours.comfy.model_management.unload_all_models()
    gc.collect()
    assert [ref() for ref in seen] == [None] * len(seen)


def test_what_is_freed_goes_back_to_the_system(ours: Any) -> None:
    """Weights of some megabytes lie among other things in the heap, once larger ones were freed; see ``give_back``."""
    if sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("another C library, which has habits of its own")
    process, others = psutil.Process(), []

    def make() -> torch.nn.Module:
        for _ in range(3):
            torch.ones(7_500_000)
        layers = []
        for _ in range(60):
            layers.append(torch.nn.Linear(866, 866))  # 3 MB
            others.append(torch.ones(200))
        return torch.nn.Sequential(*layers)

    with torch.inference_mode():
        ours._loaded(ours._held_flows, ("heap",), make)
    before = process.memory_info().rss
    ours.comfy.model_management.unload_all_models()
    assert before - process.memory_info().rss > 120e6
    assert len(others) == 60


def test_room_is_made_for_networks_that_the_host_does_not_manage(ours: Any, weights: Callable[[str], str]) -> None:
    first = network(ours, weights("room.safetensors"))
    assert ours.device_with_room(1) == torch.device("cpu")
    assert first() is not None
    ours.device_with_room(1 << 60)
    gc.collect()
    assert first() is None


def test_a_kept_model_stays_when_room_is_made_but_not_when_memory_is_freed(
    ours: Any, pack: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = importlib.import_module(f"{pack.__name__}.nodes.host.held")
    patcher = held.comfy.model_patcher.ModelPatcher(torch.nn.Linear(2, 2), *2 * [torch.device("cpu")])
    kept, passing = held.Held(1, stay=True), held.Held(1)
    for place in (kept, passing):
        place.get("key", lambda: patcher)
    held.load([patcher])
    for place in (kept, passing):
        place.follow("key", patcher, [patcher])
    monkeypatch.setattr(held, "get_executing_context", lambda: "a node is at work")
    ours.comfy.model_management.unload_all_models()
    assert (len(kept._items), len(passing._items)) == (1, 0)
    held.load([patcher])
    kept.follow("key", patcher, [patcher])
    monkeypatch.setattr(held, "get_executing_context", lambda: None)
    ours.comfy.model_management.unload_all_models()
    assert len(kept._items) == 0


def test_a_process_ends_without_a_word_about_what_it_held(comfyui: Path, root: Path) -> None:
    script = [sys.executable, Path(__file__).with_name("leaving.py"), comfyui, root]
    done = subprocess.run(script, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "Exception ignored" not in done.stderr
