"""The estimator's network: its shape, what it needs, what it refuses."""

from pathlib import Path

import pytest
import torch

from textovsr.core.errors import DamagedWeightsError, UnknownCheckpointError, WeightsNotFoundError
from textovsr.models.degradation_net import BORDERS, FRAMES, KINDS, DegradationNet, load_degradation_net
from textovsr.models.registry import save_weights


@pytest.fixture(scope="module")
def network() -> DegradationNet:
    """Untrained, in eval mode."""
    torch.manual_seed(0)
    return DegradationNet().eval()


@pytest.mark.parametrize("side", [32, 64, 90])
def test_every_patch_gets_logits(network: DegradationNet, side: int) -> None:
    found = network(torch.rand(2, FRAMES, 3, side, side))
    assert found.shape == (2, KINDS, BORDERS)
    assert found.isfinite().all()


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_plain_patch_is_no_trouble(network: DegradationNet, value: float) -> None:
    assert network(torch.full((1, FRAMES, 3, 64, 64), value)).isfinite().all()


def test_patches_do_not_see_each_other(network: DegradationNet) -> None:
    patches = torch.rand(3, FRAMES, 3, 64, 64)
    torch.testing.assert_close(network(patches)[1:2], network(patches[1:2]), rtol=1e-4, atol=1e-4)


def test_the_fixed_features_hear_noise_and_see_a_grid(network: DegradationNet) -> None:
    smooth = torch.linspace(0, 1, 64).expand(1, FRAMES, 3, 64, 64)
    noisy = smooth + 0.05 * torch.randn(smooth.shape, generator=torch.Generator().manual_seed(0))
    quiet, loud = (network._spectra(clip.mean(2)[:, :3]) for clip in (smooth, noisy))
    assert (loud - quiet).mean() > 3
    blocks = torch.rand(1, 3, 8, 8).repeat_interleave(8, 2).repeat_interleave(8, 3).expand(FRAMES, -1, -1, -1)[None]
    from textovsr.models.degradation_net import _grids

    assert _grids(blocks.mean(2)[:, 0]).mean() > _grids(noisy.mean(2)[:, 0]).mean() + 1


def test_it_comes_back_from_its_file(network: DegradationNet, tmp_path: Path) -> None:
    save_weights(network.state_dict(), tmp_path / "w.safetensors", {})
    loaded = load_degradation_net(tmp_path / "w.safetensors")
    patches = torch.rand(2, FRAMES, 3, 64, 64)
    torch.testing.assert_close(loaded(patches), network(patches), rtol=0, atol=0.02)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert not loaded.training


def test_other_files_are_refused(network: DegradationNet, tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError):
        load_degradation_net(tmp_path / "none.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\x08")
    with pytest.raises(DamagedWeightsError):
        load_degradation_net(tmp_path / "cut.safetensors")
    state = {key: value for key, value in network.state_dict().items() if key != "head.1.bias"}
    save_weights(state, tmp_path / "other.safetensors", {})
    with pytest.raises(UnknownCheckpointError, match="estimator of degradations"):
        load_degradation_net(tmp_path / "other.safetensors")
