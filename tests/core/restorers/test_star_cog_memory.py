"""What STAR's CogVideoX version is planned with is what its full-width networks hold, counted on the meta device."""

import importlib
from copy import deepcopy
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from textovsr.core.restorers.star_cog.config import StarCogConfig
from textovsr.core.restorers.star_cog.memory import _PIXEL_NUMBERS, _TOKEN_NUMBERS
from textovsr.models.star_cog.config import TransformerConfig
from textovsr.tests.helpers.star_cog import make, quick_vae, small_transformer
from textovsr.tests.helpers.threads import one_thread  # noqa: F401 - a fixture

FOLDER = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(scope="module")
def memory() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        return importlib.import_module("live_memory")


def empty(*shape: int) -> Tensor:
    return torch.empty(*shape, dtype=torch.bfloat16, device="meta")


def transformer() -> nn.Module:
    """Two of the layers hold as much at once as all."""
    from textovsr.models.star_cog.transformer import StarCogTransformer

    with torch.device("meta"):
        return StarCogTransformer(TransformerConfig(layers=2)).bfloat16()


def autoencoder() -> nn.Module:
    from textovsr.models.star_cog.vae import CogVideoXVAE

    with torch.device("meta"):
        return CogVideoXVAE(
            down_block_types=("CogVideoXDownBlock3D",) * 4,
            up_block_types=("CogVideoXUpBlock3D",) * 4,
            block_out_channels=(128, 256, 256, 512),
            layers_per_block=3,
        ).bfloat16()


@pytest.mark.parametrize(("rows", "columns"), [(60, 90), (24, 36)])
def test_the_transformer_holds_what_is_planned(memory: ModuleType, rows: int, columns: int) -> None:
    network = transformer()
    given = empty(1, 7, 32, rows, columns), torch.empty(1, device="meta"), empty(1, 226, 4096)
    found = memory.counted(lambda: network(*given), [*network.parameters(), *given])
    planned = 2 * _TOKEN_NUMBERS * 7 * rows * columns / 4
    assert 0.75 * planned < found < 0.9 * planned, "room for work space is left"


@pytest.mark.parametrize(("latents", "side"), [(7, 256), (5, 128)])
def test_the_autoencoder_holds_what_is_planned(memory: ModuleType, latents: int, side: int) -> None:
    network = autoencoder()
    planned = 2 * _PIXEL_NUMBERS * side**2
    z, x = empty(1, 16, latents, side // 8, side // 8), empty(1, 3, 4 * latents - 3, side, side)
    decoding = memory.counted(lambda: network.decode(z), [*network.parameters(), z])
    encoding = memory.counted(lambda: network.encode(x), [*network.parameters(), x])
    assert 0.7 * planned < decoding < 0.8 * planned
    assert encoding < decoding


def test_what_is_counted_is_what_a_cpu_holds(memory: ModuleType) -> None:
    """At a reduced width, where both can be had."""
    x, t, text = torch.randn(1, 3, 32, 24, 36), torch.tensor([500]), torch.randn(1, 10, 48)
    network = small_transformer()
    measured = memory.measured(lambda: network(x, t, text))
    meta = make_meta(network)
    given = x.to("meta"), t.to("meta"), text.to("meta")
    counted = memory.counted(lambda: meta(*given), [*meta.parameters(), *given])
    assert counted == pytest.approx(measured, rel=0.25)
    z = torch.randn(1, 16, 5, 6, 6)
    measured = memory.measured(lambda: quick_vae().decode(z))
    vae, z = make_meta(quick_vae()), z.to("meta")
    counted = memory.counted(lambda: vae.decode(z), [*vae.parameters(), z])
    assert counted <= measured < 1.4 * counted, "convolutions take work space, which is planned with"


def make_meta(network: nn.Module) -> nn.Module:
    return deepcopy(network).to("meta")


def test_the_trained_size_fits_sixteen_gigabytes() -> None:
    """11.1 GB are weights; of 4 GB beside them the trained tile takes 1."""
    assert (
        make(StarCogConfig(), 2 * 4 * 10**9).plan(270, 480).tiles[0] == 120
    )  # the helper computes in single precision
