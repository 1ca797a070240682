"""VGG19, against torchvision's layout, and CLIP-IQA, with weights as small as they can be."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from textovsr.core.errors import UnknownCheckpointError, WeightsNotFoundError
from textovsr.core.quality.clip_iqa import ClipIqa
from textovsr.tests.helpers.clip import small_clip
from textovsr.tests.helpers.training import CONVOLUTIONS, small_vgg
from textovsr.training.clip_iqa import ClipIqaLoss, load_clip_iqa
from textovsr.training.vgg import LAYERS, PerceptualLoss, load_perceptual


def clip(seed: int = 0) -> Tensor:
    return torch.rand(1, 2, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def test_features_are_torchvisions() -> None:
    """The same weights in a plain sequence of convolutions, ReLUs and poolings."""
    state = small_vgg()
    layers: list[torch.nn.Module] = []
    for number in range(35):
        if number in CONVOLUTIONS:
            conv = torch.nn.Conv2d(*state[f"features.{number}.weight"].shape[1::-1], 3, padding=1)
            conv.load_state_dict({part: state[f"features.{number}.{part}"] for part in ("weight", "bias")})
            layers.append(conv)
        else:
            layers.append(torch.nn.MaxPool2d(2) if number in (4, 9, 18, 27) else torch.nn.ReLU())
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    x, y = ((clip(seed)[0] - mean) / std for seed in (0, 1))
    expected = torch.zeros(())
    with torch.no_grad():
        for number, layer in enumerate(layers):
            x, y = layer(x), layer(y)
            if number in LAYERS:
                expected = expected + LAYERS[number] * (x - y).abs().mean()
    torch.testing.assert_close(PerceptualLoss(state)(clip(), clip(1)), expected)


def test_the_perceptual_loss_teaches_the_result_and_nothing_else() -> None:
    loss, made, true = PerceptualLoss(small_vgg()), clip().requires_grad_(), clip(1).requires_grad_()
    loss(made, true).backward()
    assert made.grad is not None
    assert made.grad.abs().sum() > 0
    assert true.grad is None
    assert not [parameter for parameter in loss.parameters() if parameter.requires_grad]
    assert float(loss(clip(), clip())) == 0


def test_what_is_no_vgg_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match="vgg"):
        load_perceptual(tmp_path / "vgg.pth")
    state = small_vgg()
    del state["features.16.bias"]
    torch.save(state, tmp_path / "vgg.pth")
    with pytest.raises(UnknownCheckpointError, match=r"torchvision's VGG19 .*features\.16\.bias.*choose another"):
        load_perceptual(tmp_path / "vgg.pth")


@torch.no_grad()
def test_clip_iqa_is_one_minus_the_mean_score() -> None:
    loss, frames = ClipIqaLoss(small_clip()), torch.stack([clip()[0], clip(1)[0]])
    expected = 1 - ClipIqa(small_clip()).scores(frames.flatten(0, 1)).mean()
    torch.testing.assert_close(loss(frames), expected)


def test_clip_iqa_teaches_the_result_and_nothing_else(tmp_path: Path) -> None:
    save_file(small_clip(), tmp_path / "clip.safetensors")
    loss, made = load_clip_iqa(tmp_path / "clip.safetensors"), clip()[..., :48].clone().requires_grad_()
    before = loss(made)
    before.backward()
    assert made.grad is not None
    assert not [parameter for parameter in loss.parameters() if parameter.requires_grad]
    with torch.no_grad():
        better = loss(made - 1e-3 * made.grad / made.grad.abs().max())
    assert better < before


def test_what_is_no_clip_is_named() -> None:
    with pytest.raises(UnknownCheckpointError, match=r"(?s)CLIP with a ResNet .*choose another file for clip"):
        ClipIqaLoss(small_vgg())
