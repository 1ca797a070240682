"""SDATC's distortion control module: sizes, windows, borders, its start, and its checkpoint."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from textovsr.core.errors import SettingError, ShapeError
from textovsr.models.sdatc.dcm import FULL, LIGHT, Dcm, DcmConfig, _cut, enlarged, read_dcm_config

TINY = DcmConfig(channels=8, groups=1, depth=2, heads=2)


def network(config: DcmConfig = TINY, seed: int = 0) -> Dcm:
    """A network with weights large enough that every part shows."""
    torch.manual_seed(seed)
    net = Dcm(config).eval().requires_grad_(False)
    for parameter in net.parameters():
        parameter.copy_(torch.randn_like(parameter) * 0.2)
    return net


@pytest.mark.parametrize(("config", "millions"), [(FULL, 11.9), (LIGHT, 0.9)])
def test_the_sizes_are_those_of_swinir(config: DcmConfig, millions: float) -> None:
    with torch.device("meta"):
        net = Dcm(config)
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


@pytest.mark.filterwarnings("ignore")  # of what spandrel loads
@pytest.mark.parametrize(("upsampler", "theirs"), [("pixelshuffle", "pixelshuffle"), ("direct", "pixelshuffledirect")])
def test_it_computes_what_swinir_does(upsampler: str, theirs: str) -> None:
    """spandrel's SwinIR with the same weights, and no mean colour to shift by."""
    module = pytest.importorskip("spandrel.architectures.SwinIR.__arch.SwinIR")
    ours = network(replace(TINY, upsampler=upsampler, groups=2, depth=3))
    other = module.SwinIR(
        img_size=16,
        window_size=8,
        embed_dim=TINY.channels,
        depths=[3, 3],
        num_heads=[TINY.heads, TINY.heads],
        mlp_ratio=TINY.mlp_ratio,
        upscale=4,
        upsampler=theirs,
        img_range=1.0,
    ).eval()
    other.mean = torch.zeros(1, dtype=torch.float64)
    missing = other.load_state_dict(ours.state_dict(), strict=False)
    ours, other = ours.double(), other.double()
    assert not missing.unexpected_keys
    assert all(key.endswith(("relative_position_index", "attn_mask")) for key in missing.missing_keys)
    for size in ((16, 16), (24, 40), (13, 22)):
        frames = torch.rand(2, 3, *size, dtype=torch.float64)
        with torch.no_grad():
            torch.testing.assert_close(ours(frames), other(frames), rtol=0, atol=1e-10)


@pytest.mark.parametrize("upsampler", ["pixelshuffle", "direct"])
@pytest.mark.parametrize("size", [(16, 24), (17, 9), (3, 20)])
def test_any_size_comes_out_four_times_as_large(size: tuple[int, int], upsampler: str) -> None:
    net = network(replace(TINY, upsampler=upsampler))
    out = net(torch.rand(2, 3, *size))
    assert out.shape == (2, 3, 4 * size[0], 4 * size[1])
    assert torch.isfinite(out).all()


def test_it_begins_as_bicubic_with_the_skip_and_not_without() -> None:
    frames = torch.rand(1, 3, 16, 24)
    torch.manual_seed(0)
    for upsampler in ("pixelshuffle", "direct"):
        config = replace(TINY, upsampler=upsampler, skip="bicubic")
        torch.testing.assert_close(Dcm(config)(frames), enlarged(frames), rtol=0, atol=0)
    assert not torch.allclose(Dcm(TINY)(frames), enlarged(frames), atol=0.1)
    assert torch.equal(enlarged(frames), F.interpolate(frames, size=(64, 96), mode="bicubic"))


def test_frames_do_not_see_each_other() -> None:
    net, frames = network().double(), torch.rand(3, 3, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(net(frames)[1:2], net(frames[1:2]), rtol=0, atol=1e-9)


def test_attention_stays_in_its_window_and_a_shifted_one_crosses_the_border() -> None:
    """Of the body alone: what a change of one pixel reaches, by blocks. Opposite ends never meet, though rolled."""
    net = network()
    x = torch.randn(1, 24, 24, 8)
    moved = x.clone()
    moved[:, 1, 1, 0] += 1
    grid = _cut(x.permute(0, 3, 1, 2), TINY.window)
    plain, shifted = net.layers[0].residual_group["blocks"]  # type: ignore[index, union-attr]

    def reached(block: torch.nn.Module) -> set[tuple[int, int]]:
        changed = (block(moved, grid) - block(x, grid)).abs().amax(-1)[0] > 1e-6
        return {(int(y), int(x)) for y, x in changed.nonzero()}

    assert reached(plain) == {(y, x) for y in range(8) for x in range(8)}
    assert reached(shifted) == {(y, x) for y in range(4) for x in range(4)}
    moved = x.clone()
    moved[:, 7, 7, 0] += 1
    assert reached(shifted) == {(y, x) for y in range(4, 12) for x in range(4, 12)}


def test_the_bias_knows_the_distance() -> None:
    """Attention that sees nothing but the bias picks the right neighbour: table entry (dy,dx) is q's place less k's."""
    config = DcmConfig(channels=4, groups=1, depth=1, heads=1, window=4)
    attention = Dcm(config).layers[0].residual_group["blocks"][0].attn  # type: ignore[index, union-attr]
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.zero_()
        attention.qkv.weight[8:] = torch.eye(4)  # values are the features themselves
        attention.proj.weight.copy_(torch.eye(4))
        attention.relative_position_bias_table[(1 + 3) * 7 + (0 + 3)] = 50.0  # one pixel above
        x = torch.randn(1, 8, 8, 4)
        out = attention(x, _cut(x.permute(0, 3, 1, 2), 4), shifted=False)
    torch.testing.assert_close(out[:, 1:4], x[:, 0:3], rtol=0, atol=1e-5)
    torch.testing.assert_close(out[:, 5:8], x[:, 4:7], rtol=0, atol=1e-5)


def test_gradients_reach_every_parameter() -> None:
    net = network().requires_grad_(True)
    net(torch.rand(1, 3, 16, 16)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        replace(TINY, skip="bicubic", upsampler="direct"),
        DcmConfig(channels=12, groups=2, depth=3, heads=3, window=4),
    ],
)
def test_a_checkpoint_says_what_it_is(config: DcmConfig) -> None:
    assert read_dcm_config(Dcm(config).state_dict()) == config


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 4, 8, 8), (1, 3, 0, 8)])
def test_what_is_no_frame_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"Expected frames of shape \(N,3,h,w\)"):
        network()(torch.rand(shape))


def test_a_size_that_cannot_be_is_refused() -> None:
    with pytest.raises(SettingError, match="divisible by heads"):
        DcmConfig(channels=10, heads=3)
