"""VGG19 and CLIP-IQA, with weights as small as they can be: against torchvision's layout and open_clip's network."""

import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from textovsr.core.errors import UnknownCheckpointError, WeightsNotFoundError
from textovsr.tests.helpers.training import CONVOLUTIONS, small_vgg
from textovsr.training.clip_iqa import PROMPTS, ClipIqaLoss, load_clip_iqa
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


@pytest.fixture(scope="module")
def reference() -> torch.nn.Module:
    """open_clip's CLIP with a ResNet, small, with random weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vision = CLIPVisionCfg(layers=(1, 2, 1, 1), width=16, image_size=64, head_width=64)
        network = CLIP(32, vision, CLIPTextCfg(width=64, heads=1, layers=2), quick_gelu=True).eval()
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    return network


@torch.no_grad()
def test_scores_are_those_of_open_clips_network(reference: torch.nn.Module) -> None:
    """Without the position embedding of the attention pool, as CLIP-IQA has it."""
    loss, frames = ClipIqaLoss(reference.state_dict()), clip()[0]
    place = reference.visual.attnpool.positional_embedding
    kept = place.clone()
    place.zero_()
    images = reference.encode_image((frames - loss.mean) / loss.std, normalize=True)
    place.copy_(kept)
    from open_clip.tokenizer import SimpleTokenizer

    texts = reference.encode_text(SimpleTokenizer()(list(PROMPTS)), normalize=True)
    expected = (100 * images @ texts.T).softmax(-1)[:, 0]
    torch.testing.assert_close(loss.scores(frames), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(loss(frames[None]), 1 - expected.mean(), rtol=1e-4, atol=1e-5)


def test_clip_iqa_teaches_the_result_and_nothing_else(reference: torch.nn.Module, tmp_path: Path) -> None:
    save_file(dict(reference.state_dict()), tmp_path / "clip.safetensors")
    loss, made = load_clip_iqa(tmp_path / "clip.safetensors"), clip()[..., :48].clone().requires_grad_()
    loss(made).backward()
    assert made.grad is not None
    assert made.grad.abs().sum() > 0
    assert not [parameter for parameter in loss.parameters() if parameter.requires_grad]


def test_what_is_no_clip_is_named() -> None:
    with pytest.raises(UnknownCheckpointError, match=r"CLIP RN50 .*choose another file for clip"):
        ClipIqaLoss(small_vgg())
