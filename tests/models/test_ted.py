"""The discriminator: the published layout, sizes, and what it must depend on."""

import json

import pytest
import torch
import torch.nn.functional as F

from textovsr.core.errors import ShapeError
from textovsr.models.ted import TED
from textovsr.tests.helpers.rule import GOLDEN


def small(seed: int = 0, channels: int = 4) -> TED:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return TED(text_width=6, channels=channels, text_hidden=8).eval()


def test_keys_and_shapes_are_those_of_the_published_checkpoint() -> None:
    manifest = json.loads((GOLDEN / "textovsr_ted_manifest.json").read_text("utf-8"))
    with torch.device("meta"):
        network = TED()
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == manifest


def test_the_size_is_the_published_one() -> None:
    with torch.device("meta"):
        network = TED()
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == 4.91


@torch.inference_mode()
def test_every_pixel_is_judged() -> None:
    assert small()(torch.rand(2, 3, 32, 24), torch.rand(2, 6)).shape == (2, 1, 32, 24)


@torch.inference_mode()
def test_features_go_from_coarse_to_fine() -> None:
    found = [tuple(f.shape) for f in small().features(torch.rand(1, 3, 32, 24))]
    assert found == [(1, 16, 8, 6), (1, 8, 16, 12), (1, 4, 32, 24)]


@torch.inference_mode()
def test_the_text_counts_and_only_that_of_the_frame() -> None:
    network = small()
    torch.nn.init.constant_(network.text_mlp[2].bias, 1.0)  # so that no unit is off
    generator = torch.Generator().manual_seed(0)
    frames, text = torch.rand(2, 3, 16, 16, generator=generator), torch.rand(2, 6, generator=generator)
    other = torch.stack([text[0], text[1] + 5])
    before, after = network(frames, text), network(frames, other)
    torch.testing.assert_close(before[0], after[0])
    assert (before[1] - after[1]).abs().mean() > 1e-3


def test_the_largest_gain_of_a_normalised_layer_is_one() -> None:
    """Spectral norm, once its power iteration has settled; the layers before and after are free."""
    network = small().train()
    for _ in range(60):
        network(torch.rand(1, 3, 16, 16), torch.rand(1, 6))
    for conv in (network.conv_1, network.conv_4, network.conv_8):
        assert float(torch.linalg.matrix_norm(conv.weight.detach().flatten(1), 2)) == pytest.approx(1, abs=0.02)
    assert not hasattr(network.conv_9, "weight_u")


@torch.inference_mode()
def test_a_pixel_sees_its_neighbourhood_at_every_scale() -> None:
    """The skips keep the finest detail: a single changed pixel changes its own verdict, not one far away."""
    network, frame = small(), torch.rand(1, 3, 128, 128)
    changed = frame.clone()
    changed[..., 60, 60] = 1 - changed[..., 60, 60]
    difference = (network(frame, torch.zeros(1, 6)) - network(changed, torch.zeros(1, 6))).abs()[0, 0]
    assert difference[60, 60] > 0
    assert difference[0, 0] == 0


def test_it_learns_to_tell_noise_from_smoothed_noise() -> None:
    """Two times log 2 is guessing."""
    network = small(channels=8).train()
    optimizer = torch.optim.Adam(network.parameters(), 3e-3, betas=(0.9, 0.99))
    generator, text, sums = torch.Generator().manual_seed(0), torch.zeros(2, 6), []
    for _ in range(25):
        noise = torch.rand(2, 2, 3, 32, 32, generator=generator)
        smooth = F.avg_pool2d(noise[1], 5, 1, 2)
        loss = F.softplus(-network(noise[0], text)).mean() + F.softplus(network(smooth, text)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sums.append(float(loss.detach()))
    assert min(sums) < 0.7 < 1.3 < sums[0]


def test_sizes_the_pyramid_cannot_meet_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"multiples of 8, got \(1, 3, 20, 16\)"):
        small()(torch.rand(1, 3, 20, 16), torch.rand(1, 6))
