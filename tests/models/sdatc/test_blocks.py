"""CAPM and STAM by themselves, equation by equation."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textovsr.models.sdatc.capm import Capm
from textovsr.models.sdatc.config import CapmConfig, StamConfig
from textovsr.models.sdatc.stam import Stam
from textovsr.tests.helpers.sdatc import TINY_CAPM, noise, stirred

STAM = StamConfig(heads=2)


def capm(config: CapmConfig = TINY_CAPM) -> Capm:
    torch.manual_seed(0)
    module = Capm(8, config)
    stirred(module, 0.2)
    return module.eval().requires_grad_(False)


def stam(config: StamConfig = STAM, attention: bool = True) -> Stam:
    torch.manual_seed(0)
    return Stam(8, config, attention).eval().requires_grad_(False)


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (16, 12)])
def test_new_ones_change_nothing(size: tuple[int, int]) -> None:
    x = noise(1, 4, 8, *size)
    assert torch.equal(Capm(8, TINY_CAPM)(x), x)
    assert torch.equal(stam()(x, 2), x)


def test_prompts_are_weighed_by_the_frame_without_softmax() -> None:
    """Eq. 6: what the prompts add is linear in them."""
    module, x = capm(), noise(1, 2, 8, 6, 6)
    seen: list[Tensor] = []
    module.refine.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    module(x)
    weights = module.weigh(module.describe(x).flatten(1))
    assert weights.shape == (2, 2)
    assert not torch.allclose(weights.sum(dim=1), torch.ones(2), atol=1e-2)
    expected = sum(weights[:, i, None, None, None] * module.prompts[i] for i in range(2))
    torch.testing.assert_close(seen[0], F.interpolate(expected, size=(6, 6), mode="bilinear"))


@pytest.mark.parametrize("width", [0, 16])
def test_a_prompt_reaches_every_place_of_its_frame_only(width: int) -> None:
    module, x = capm(replace(TINY_CAPM, width=width)), noise(1, 2, 8, 6, 6)
    before = module(x)
    module.prompts += 0.5
    after = module(x)
    assert (after - before).abs().amin(dim=1).gt(0).float().mean() > 0.9
    alone = torch.cat([module(frame) for frame in x.split(1)])
    torch.testing.assert_close(alone, after)


def test_frames_are_mixed_by_a_convolution_along_time() -> None:
    """Eq. 9, with a share of 1 the convolution alone."""
    module, x = stam(attention=False), noise(1, 6, 8, 3, 4)
    module.alpha1.fill_(1.0)
    clips = x.view(2, 3, 8, 3, 4).transpose(1, 2)
    expected = F.conv3d(clips, module.conv.weight, module.conv.bias, padding=(1, 0, 0))
    torch.testing.assert_close(module(x, 3), expected.transpose(1, 2).reshape(6, 8, 3, 4))


def test_attention_is_along_time_only() -> None:
    """Eq. 10: a pixel sees itself in the other frames, in any order of these, and no other pixel."""
    module, x = stam(), noise(1, 3, 8, 3, 4)
    module.alpha2.fill_(1.0)
    result = module(x, 3)
    changed = x.clone()
    changed[2, :, 1, 2] *= -2.0
    difference = (module(changed, 3) - result).abs().amax(dim=1)
    assert (difference > 1e-6).sum() == 3
    assert difference[:, 1, 2].min() > 1e-6
    torch.testing.assert_close(module(x.flip(0), 3).flip(0), result)
    pixels = module.attention.norm(x.permute(2, 3, 0, 1).reshape(12, 3, 8))
    q, k, v = module.attention.qkv(pixels).view(12, 3, 3, 2, 4).permute(2, 0, 3, 1, 4)
    attended = ((q @ k.transpose(-2, -1)) / 2).softmax(-1) @ v
    expected = module.attention.out(attended.transpose(1, 2).reshape(12, 3, 8))
    torch.testing.assert_close(result, x + expected.view(3, 4, 3, 8).permute(2, 3, 0, 1))


def test_a_cube_sees_its_neighbours_too() -> None:
    module, x = stam(StamConfig("cube", heads=2), attention=False), noise(1, 3, 8, 3, 4)
    module.alpha1.fill_(1.0)
    changed = x.clone()
    changed[1, :, 1, 1] += 1.0
    assert ((module(changed, 3) - module(x, 3)).abs().amax(dim=1) > 1e-6).sum() == 27
