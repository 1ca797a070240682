"""OpenCLIP's text tower against open_clip's own and transformers', from every kind of file that users have."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from textovsr.core.errors import DamagedWeightsError, UnknownCheckpointError, WeightsNotFoundError
from textovsr.core.text.open_clip_h import encode, load_open_clip_h
from textovsr.models.open_clip_text import OpenClipConfig, OpenClipText

PROMPTS = ["a photo of two cats, clear, high quality", ""]


def shaken(network: torch.nn.Module) -> Any:
    """Random values everywhere, also where a new network has zeros and ones."""
    torch.manual_seed(3)
    for value in network.parameters():
        value.data.add_(0.1 * torch.randn_like(value))
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def open_clip() -> Any:
    """open_clip's own text tower, three layers, with its projection."""
    from open_clip.transformer import TextTransformer

    return shaken(TextTransformer(width=128, heads=2, layers=3, output_dim=32))


@pytest.fixture(scope="module")
def transformers() -> Any:
    """transformers' text tower as Stable Diffusion 2's config describes it."""
    from transformers import CLIPTextConfig, CLIPTextModel

    sizes = {"hidden_size": 128, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 2}
    return shaken(CLIPTextModel(CLIPTextConfig(**sizes, vocab_size=49408, hidden_act="gelu")))


def saved(state: dict[str, Tensor], path: Path, prefix: str = "") -> Path:
    save_file({prefix + key: value.contiguous() for key, value in state.items()}, path)
    return path


@pytest.mark.parametrize("prefix", ["", "cond_stage_model.model.", "text."])
def test_open_clip_s_second_last_layer_is_what_comes_out(open_clip: Any, tmp_path: Path, prefix: str) -> None:
    """Equal to open_clip's layers but the last, then its last LayerNorm; its own tokens, padded with 0."""
    from open_clip import tokenize

    x = open_clip.token_embedding(tokenize(PROMPTS)) + open_clip.positional_embedding
    for layer in open_clip.transformer.resblocks[:-1]:
        x = layer(x, attn_mask=open_clip.attn_mask)
    others = {"first_stage_model.conv.weight": torch.ones(2), "model.logit_scale": torch.ones(())} if prefix else {}
    file = tmp_path / "open_clip.safetensors"
    state = {prefix + key: value for key, value in open_clip.state_dict().items()}
    saved({**others, **state, f"{prefix}logit_scale": torch.ones(())}, file)
    network = load_open_clip_h(file, OpenClipConfig(width=128, layers=2, heads=2, hidden=512))
    found = encode(network, PROMPTS)
    assert found.shape == (2, 77, 128)
    torch.testing.assert_close(found, open_clip.ln_final(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("prefix", ["", "text_model.", "clip_h.transformer.text_model."])
def test_transformers_names_give_its_last_hidden_state(transformers: Any, tmp_path: Path, prefix: str) -> None:
    from open_clip import tokenize

    state = {key.removeprefix("text_model."): value for key, value in transformers.state_dict().items()}
    state["embeddings.position_ids"] = torch.arange(77)[None]
    network = load_open_clip_h(saved(state, tmp_path / "model.safetensors", prefix))
    assert network.config == OpenClipConfig(width=128, layers=2, heads=2, hidden=192)
    expected = transformers(input_ids=tokenize(PROMPTS)).last_hidden_state
    torch.testing.assert_close(encode(network, PROMPTS), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("place", ["", "text_encoder"])
def test_a_folder_as_it_is_published(transformers: Any, tmp_path: Path, place: str) -> None:
    transformers.save_pretrained(tmp_path / "published" / place)
    assert load_open_clip_h(tmp_path / "published").config.layers == 2
    with pytest.raises(WeightsNotFoundError, match=r"or a folder with model\.safetensors"):
        load_open_clip_h(tmp_path / "other")


def test_half_precision_is_computed_in_the_network_s_own(transformers: Any) -> None:
    network = load_open_clip_h({key: value.half() for key, value in transformers.state_dict().items()})
    assert encode(network, PROMPTS).dtype is torch.float32
    assert encode(network.to(torch.bfloat16), PROMPTS).dtype is torch.bfloat16


def test_the_whole_one_leaves_out_the_last_of_24_layers() -> None:
    """Its size is known: 23 layers of 1024, 16 heads (specs, 340 million numbers)."""
    with torch.device("meta"):
        network = OpenClipText(OpenClipConfig())
    assert sum(value.numel() for value in network.parameters()) == 340_387_840


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("token_embedding.weight", "Expected OpenCLIP ViT-H-14's text tower, got"),
        ("encoder.layers.1.self_attn.k_proj.weight", r"(?s)Expected all of OpenCLIP's.*in_proj_weight"),
        ("encoder.layers.1.mlp.fc2.bias", r"(?s)Expected all of OpenCLIP's.*c_proj\.bias"),
    ],
)
def test_what_is_missing_is_named(transformers: Any, lost: str, message: str) -> None:
    state = {key: value for key, value in transformers.state_dict().items() if not key.endswith(lost)}
    with pytest.raises(UnknownCheckpointError, match=message):
        load_open_clip_h(state)


def test_what_is_too_much_is_named(transformers: Any) -> None:
    state = {f"text_model.{key.removeprefix('text_model.')}": v for key, v in transformers.state_dict().items()}
    with pytest.raises(UnknownCheckpointError, match=r"adapter\.weight"):
        load_open_clip_h({**state, "text_model.adapter.weight": torch.ones(1)})


def test_a_truncated_file_says_so(transformers: Any, tmp_path: Path) -> None:
    file = saved(transformers.state_dict(), tmp_path / "model.safetensors")
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(DamagedWeightsError, match="Expected a whole checkpoint"):
        load_open_clip_h(file)
