"""MGLD-VSR's denoiser and structure encoder against the published code and its checkpoint's keys."""

import pytest
import torch
from torch import Tensor, nn

from textovsr.core.errors import ShapeError
from textovsr.models.mgld.struct_encoder import StructEncoder
from textovsr.models.mgld.temporal import TemporalAttention, TemporalConv
from textovsr.models.mgld.unet import UNet
from textovsr.tests.helpers.mgld import SMALL_UNET, by_rule, mgld_golden, published_keys, small_struct, small_unet

FRAMES = 5


@pytest.mark.parametrize(
    ("network", "prefix"), [(UNet, "model.diffusion_model."), (StructEncoder, "structcond_stage_model.")]
)
def test_the_keys_are_the_published_ones(network: type[nn.Module], prefix: str) -> None:
    with torch.device("meta"):
        ours = {key: list(value.shape) for key, value in network().state_dict().items()}
    assert ours == published_keys("mgld_unet_manifest.json", prefix)


def structure() -> list[Tensor]:
    golden = mgld_golden()
    return [golden[f"out.struct.{width}"] for width in (32, 16, 8, 4)]


def predict(x: Tensor) -> Tensor:
    context = mgld_golden()["in.context"].expand(FRAMES, -1, -1)
    return small_unet()(x, torch.full((FRAMES,), 489), context, structure(), FRAMES)


@torch.inference_mode()
def test_the_structure_is_the_published_one() -> None:
    z = mgld_golden()["in.lr_latent"][..., :32, :32]
    found = small_struct()(z, torch.full((FRAMES,), 489))
    for ours, theirs in zip(found, structure(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)


@torch.inference_mode()
def test_the_noise_is_the_published_one() -> None:
    golden = mgld_golden()
    torch.testing.assert_close(predict(golden["in.noise0"][..., :32, :32]), golden["out.eps"], rtol=0, atol=2e-5)


@torch.inference_mode()
def test_frames_see_each_other_but_two_clips_do_not() -> None:
    x = mgld_golden()["in.noise0"][..., :32, :32]
    nudged = x.clone()
    nudged[4] += 1
    alone = predict(x)
    assert not torch.equal(predict(nudged)[0], alone[0])
    context = mgld_golden()["in.context"].expand(2 * FRAMES, -1, -1)
    features = [torch.cat([feature, feature]) for feature in structure()]
    steps = torch.full((2 * FRAMES,), 489)
    both = small_unet()(torch.cat([x, nudged]), steps, context, features, FRAMES)
    torch.testing.assert_close(both[:FRAMES], alone, rtol=0, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("layer", [TemporalConv(8), TemporalAttention(8, 4)])
def test_no_share_is_no_change(layer: TemporalConv | TemporalAttention) -> None:
    layer = by_rule(layer)
    x = torch.randn(6, 8, 3, 4, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(layer(x, 3), x)
    layer.temporal_alpha.zero_()
    torch.testing.assert_close(layer(x, 3), x)


@torch.inference_mode()
def test_what_does_not_fit_is_named() -> None:
    x = mgld_golden()["in.noise0"]
    with pytest.raises(ShapeError, match=r"multiples of 8, got \(5, 4, 40, 36\)"):
        predict(x[..., :36])
    with pytest.raises(ShapeError, match="with T = 5"):
        predict(x[:4, :, :32, :32])
    with pytest.raises(ShapeError, match="structure at 4 levels, got 3"):
        small_unet()(x[..., :32, :32], torch.zeros(5), x, structure()[:3], FRAMES)
    assert len(SMALL_UNET.multipliers) == 4
