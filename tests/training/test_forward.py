"""The passes of training are those of the network itself."""

import pytest
import torch
from torch import Tensor

from textovsr.core.text.encode import tokenize
from textovsr.tests.helpers.networks import tiny_network
from textovsr.training.data import Texts
from textovsr.training.forward import clean, embed, pooled, restore, restore_negative

PROMPTS = ("light noise", "", "heavy blur, downsample")


def texts() -> Texts:
    return Texts(*tokenize(PROMPTS), torch.tensor([2, 0]))


def per_frame(frames: int) -> tuple[Tensor, Tensor]:
    return tokenize([PROMPTS[row] for row in (2, 0) for _ in range(frames)])


def clip(frames: int) -> Tensor:
    return torch.rand(2, frames, 3, 64, 72, generator=torch.Generator().manual_seed(frames))


@pytest.mark.parametrize("frames", [1, 2, 3])
@torch.no_grad()
def test_restoring_is_the_networks_own(frames: int) -> None:
    net, lr = tiny_network(), clip(frames)
    out = restore(net, clean(net, lr), embed(net, texts(), frames))
    torch.testing.assert_close(out, net(lr, *per_frame(frames)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 3])
@torch.no_grad()
def test_the_negative_branch_is_the_networks_own(frames: int) -> None:
    net, lr = tiny_network(negative=True), clip(frames)
    out = restore_negative(net, lr, embed(net, texts(), frames))
    torch.testing.assert_close(out, net.negative(lr, *per_frame(frames)), rtol=0, atol=1e-5)


def test_the_pooled_text_is_that_of_the_first_end_token() -> None:
    net = tiny_network()
    found = pooled(net.requires_grad_(True), texts(), 2)
    assert not found.requires_grad
    ids, mask = tokenize(PROMPTS)
    features = net.basicvsr.text_encoder(ids, mask)
    assert ids[2, int(mask[2].sum()) - 1] == 49407
    assert torch.equal(found[0], features[2, int(mask[2].sum()) - 1])
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[2], features[0, int(mask[0].sum()) - 1])


def test_flow_is_found_in_full_precision() -> None:
    net, seen = tiny_network(), []
    net.basicvsr.spynet.register_forward_hook(lambda _, inputs, output: seen.append((inputs[0].dtype, output.dtype)))
    with torch.autocast("cpu", torch.bfloat16):
        restore(net, clip(2), embed(net, texts(), 2))
    assert seen == [(torch.float32, torch.float32)] * 2
