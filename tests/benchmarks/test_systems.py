"""benchmarks/systems.py: what is counted without numbers is what is computed with them."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from textovsr.core.restoration import Restoration, ShotFrame
from textovsr.core.restorer import Restorer
from textovsr.core.restorers.parts import HeldParts
from textovsr.core.restorers.sdatc.config import SdatcConfig
from textovsr.core.restorers.sdatc.restorer import SdatcRestorer
from textovsr.core.restorers.star.config import StarConfig
from textovsr.core.restorers.star.restorer import StarRestorer
from textovsr.core.restorers.star.vae import SvdVae, SvdVaeConfig
from textovsr.models.narrow import NarrowConv2d
from textovsr.models.open_clip_text import OpenClipConfig, OpenClipText
from textovsr.models.star.config import StarNetConfig
from textovsr.models.star.net import StarNet
from textovsr.tests.helpers.sdatc import tiny_networks
from textovsr.tests.helpers.threads import one_thread as one_thread

FOLDER = Path(__file__).parents[2] / "benchmarks"
MEMORY = 1 << 27
TINY_STAR = StarNetConfig(channels=64, multipliers=(1, 1), blocks=1, head_width=32, first_heads=3, context=48)
TEXT = OpenClipConfig(width=48, layers=1, heads=3, hidden=96)


@pytest.fixture(scope="module")
def systems() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        return importlib.import_module("systems")


@pytest.fixture(scope="module")
def dry() -> ModuleType:
    return importlib.import_module("dry_run")


def test_a_convolution_and_an_attention_by_hand(systems: ModuleType, dry: ModuleType) -> None:
    layer = nn.Conv2d(3, 8, 5, padding=2, stride=2, device="meta")
    x, q, k = (torch.empty(size, device="meta") for size in ((2, 3, 20, 30), (2, 4, 100, 16), (2, 4, 77, 16)))
    with dry.counting([layer]) as run, torch.inference_mode():
        layer(x)
        convolution = run.flops
        F.scaled_dot_product_attention(q, k, k)
    assert convolution == 2 * (2 * 8 * 10 * 15) * (3 * 5 * 5)
    assert run.flops - convolution == 2 * (2 * 4) * 100 * 77 * 16 * 2


def star_networks() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    vae = SvdVae(SvdVaeConfig((32, 32, 32, 32), 1))
    networks = {"text": OpenClipText(TEXT), "vae": vae, "denoiser": StarNet(TINY_STAR)}
    return {name: network.eval().requires_grad_(False) for name, network in networks.items()}


def make_star(parts: object, memory: int) -> Restorer:
    config = StarConfig(steps=2, window=2, span=2, overlap=1, group=1, context=0, tile=64, vae_tile=64)
    return StarRestorer(parts, config, memory)  # type: ignore[arg-type]


def make_sdatc(parts: object, memory: int) -> Restorer:
    return SdatcRestorer(parts, SdatcConfig(steps=2, tile=64, vae_tile=64), memory)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "networks", "count", "size"),
    [(make_star, star_networks, 3, (18, 16)), (make_sdatc, tiny_networks, 4, (16, 18))],
    ids=["star", "sdatc"],
)
def test_a_dry_run_counts_what_is_computed(
    dry: ModuleType,
    make: Callable[[object, int], Restorer],
    networks: Callable[[], dict[str, nn.Module]],
    count: int,
    size: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tiles, windows that overlap, texts, guidance and steps; what is called again is remembered, not gone through."""
    monkeypatch.setattr(NarrowConv2d, "forward", nn.Conv2d.forward)  # it multiplies zeros too, and on a CPU alone
    frames = [ShotFrame(torch.rand(3, *size), prompt="a street") for _ in range(count)]
    real = make(HeldParts(networks(), torch.device("cpu"), torch.float32), MEMORY)
    plan = real.plan(*size)
    assert all(plan.tiles[:2])
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        list(Restoration(real, plan, lambda: None, print).run(frames))
    meta = {name: _meta(network) for name, network in networks().items()}
    with dry.counting(list(meta.values())) as run:
        parts = dry.DryParts(meta, torch.float32, run)
        list(Restoration(make(parts, MEMORY), plan, lambda: None, print).run(frames))
    assert run.flops == counter.get_total_flops() > 1e8
    assert sum(stage.flops for stage in run.stages.values()) == run.flops
    assert run.stages["denoiser"].weights == sum(value.nbytes for value in networks()["denoiser"].parameters())


def test_the_memory_beside_the_weights_is_that_of_the_largest_moment(dry: ModuleType, systems: ModuleType) -> None:
    layer = nn.Linear(100, 50, device="meta")
    x = torch.empty(10, 100, device="meta")
    call: Callable[..., torch.Tensor]
    with dry.counting([layer]) as run, torch.inference_mode():
        call = run.remembered(lambda x: layer(x) + 1)
        run.begin("first", 0)
        call(x)  # 2000 bytes before the addition and 2000 of it
        run.begin("again", 0)
        held = torch.empty(1000, device="meta")
        call(x)  # remembered, beside 4000
        run.begin("after", 0)
    assert {name: stage.beside for name, stage in run.stages.items()} == {"first": 4000, "again": 8000, "after": 4000}
    assert [stage.flops for stage in run.stages.values()] == [2 * 10 * 100 * 50] * 2 + [0]
    assert held.numel() == 1000


def test_full_size_is_what_is_published(systems: ModuleType) -> None:
    full = importlib.import_module("full_size")
    found = {
        system: sum(
            value.numel()
            for build in full.builders(system).values()
            for value in full.without_numbers(build).parameters()
        )
        for system in full.SYSTEMS
    }
    assert found["star"] - 340_387_840 - 97_742_847 == 2_041_121_910  # the network's manifest
    assert found["star-cogvideox"] == pytest.approx(10.5e9, rel=0.01)  # CogVideoX-5B, T5 XXL's encoder
    assert found["mgld"] == pytest.approx(1.44e9, rel=0.01)
    assert found["sdatc"] == pytest.approx(found["mgld"], rel=0.02)  # both on Stable Diffusion 2.1


def _meta(network: nn.Module) -> nn.Module:
    import copy

    return copy.deepcopy(network).to("meta")
