"""DiffVSR's denoiser against the published code and its checkpoint's keys."""

import pytest
import torch
from torch import Tensor

from textovsr.core.errors import ShapeError
from textovsr.models.diffvsr.attention import TemporalAttention, _bucket, _rotation, _turned
from textovsr.models.diffvsr.config import UNetConfig, read_unet_config
from textovsr.models.diffvsr.unet import UNet
from textovsr.tests.helpers.diffvsr import diffvsr_golden, golden_weights, published_keys, small_unet


def test_the_keys_are_the_published_ones() -> None:
    with torch.device("meta"):
        ours = UNet().state_dict()
    assert {key: list(value.shape) for key, value in ours.items()} == published_keys("unet")
    assert read_unet_config(ours) == UNetConfig()


def predict(x: Tensor | None = None, clips: slice = slice(None)) -> Tensor:
    golden = diffvsr_golden("unet")
    x = golden["in.sample"] if x is None else x
    text, frames = golden["in.encoder_hidden_states"], golden["in.low_res"]
    level = int(golden["in.class_labels"][0])
    return small_unet()(x[clips], int(golden["in.timestep"]), text[clips], frames[clips], level)


@torch.inference_mode()
def test_the_velocity_is_the_published_one() -> None:
    torch.testing.assert_close(predict(), diffvsr_golden("unet")["out.sample"], rtol=0, atol=1e-5)


@torch.inference_mode()
def test_what_each_level_makes_is_the_published_one() -> None:
    golden, found = diffvsr_golden("unet"), {}
    names = [key.removeprefix("act.") for key in golden if key.startswith("act.") and "temporal" in key]
    hooks = [
        small_unet().get_submodule(name).register_forward_hook(lambda _, __, y, name=name: found.update({name: y}))
        for name in names
    ]
    predict(clips=slice(1))
    for hook in hooks:
        hook.remove()
    assert len(names) == 9
    for name in names:
        expected = golden[f"act.{name}"]
        torch.testing.assert_close(found[name], expected, rtol=1e-3, atol=1e-3, msg=name)


@torch.inference_mode()
def test_frames_see_each_other_but_two_clips_do_not() -> None:
    golden = diffvsr_golden("unet")["in.sample"]
    both, nudged = predict(), golden.clone()
    nudged[0, :, 7] += 1
    found = predict(nudged)
    assert not torch.allclose(found[0, :, 0], both[0, :, 0], atol=1e-3)
    torch.testing.assert_close(found[1], both[1], rtol=0, atol=1e-5)


@torch.inference_mode()
def test_attention_along_time_is_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    attention, x = TemporalAttention(64, 2).eval(), torch.randn(10, 8, 64, generator=generator)
    whole = attention(x)
    monkeypatch.setattr("textovsr.models.diffvsr.attention._ROWS", 3)
    torch.testing.assert_close(attention(x), whole, rtol=0, atol=1e-6)


@torch.inference_mode()
def test_positions_turn_half_of_a_wide_head() -> None:
    """Heads of the published width 64, of which the golden network has none: neighbours as complex numbers."""
    x = torch.randn(2, 3, 8, 64, generator=torch.Generator().manual_seed(0))
    found = _turned(x, _rotation(8, 32, x.device))
    angles = torch.arange(8)[:, None] / 10000 ** (torch.arange(16) / 16)
    complex_x = torch.view_as_complex(x[..., :32].unflatten(-1, (16, 2)).contiguous())
    expected = torch.view_as_real(complex_x * torch.polar(torch.ones(8, 16), angles)).flatten(-2)
    torch.testing.assert_close(found[..., :32], expected, rtol=0, atol=1e-5)
    assert torch.equal(found[..., 32:], x[..., 32:])


def test_distances_have_the_buckets_of_t5() -> None:
    far = [0, 1, 7, 8, 9, 11, 12, 16, 22, 31, 32, 99]
    assert _bucket(torch.tensor(far)).tolist() == [0, 1, 7, 8, 8, 9, 10, 12, 13, 15, 15, 15]
    assert _bucket(torch.tensor([-1, -8])).tolist() == [17, 24]


@torch.inference_mode()
def test_what_does_not_fit_is_named() -> None:
    x = diffvsr_golden("unet")["in.sample"]
    with pytest.raises(ShapeError, match=r"latents \(B,4,T,h,w\), got \(2, 4, 12, 20\)"):
        predict(x[:, :, 0])
    with pytest.raises(ShapeError, match=r"frames \(2, 3, 5, 12, 20\)"):
        predict(x[:, :, :5])
    with pytest.raises(ShapeError, match=r"each of 2 clips, \(2,K,D\), or of their 8 frames"):
        small_unet()(x, 1, x[:1, 0, 0, None], diffvsr_golden("unet")["in.low_res"], 50)


@torch.inference_mode()
def test_every_frame_may_have_its_own_text() -> None:
    golden = diffvsr_golden("unet")
    x, frames, text = golden["in.sample"][:1], golden["in.low_res"][:1], golden["in.encoder_hidden_states"]
    whole = small_unet()(x, 981, text[:1], frames, 50)
    same = small_unet()(x, 981, text[:1, None].expand(1, 8, -1, -1), frames, 50)
    torch.testing.assert_close(same, whole, rtol=0, atol=1e-6)
    mixed = small_unet()(x, 981, text[[0, 0, 0, 0, 1, 1, 1, 1]][None], frames, 50)
    assert not torch.allclose(mixed, whole, atol=1e-3)


def test_the_sizes_are_read_from_the_weights() -> None:
    assert small_unet().config == UNetConfig((32, 32, 32, 32), blocks=1, heads=1, context=32)
    with pytest.raises(KeyError):
        read_unet_config({key: value for key, value in golden_weights("unet").items() if "attn2" not in key})
