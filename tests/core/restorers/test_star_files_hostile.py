"""Files of STAR and of the text encoders that ask for more than they hold, or whose sizes cannot be."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from textovsr.core.errors import UnknownCheckpointError
from textovsr.core.restorers.star.loading import load_svd_vae
from textovsr.core.restorers.star_cog.loading import load_transformer, load_vae
from textovsr.core.text.open_clip_h import load_open_clip_h
from textovsr.core.text.t5 import load_t5
from textovsr.models.star_cog.checkpoint import transformer_keys
from textovsr.tests.helpers.hostile import MEMORY, grown
from textovsr.tests.helpers.star_cog import quick_vae, sat_weights
from textovsr.tests.helpers.star_shots import tiny_networks
from textovsr.tests.helpers.t5 import small_t5_weights, tokenizer_json

NUMBER = "99999999999"
UPDATED = "transformer.layers.0.attention.dense"


def saved(folder: Path, state: dict[str, Tensor]) -> Path:
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "net.safetensors")
    return folder / "net.safetensors"


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        (f"transformer_blocks.{NUMBER}.norm1.norm.weight", (1,)),
        (f"transformer_blocks.{'9' * 5000}.norm1.norm.weight", (1,)),
        ("patch_embed.text_proj.weight", (1, 1)),
        ("patch_embed.text_proj.weight", (3,)),
        ("time_embedding.linear_2.weight", ()),
    ],
)
def test_a_transformer_that_cannot_be_is_named(key: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    path = saved(tmp_path, {**transformer_keys(sat_weights()), key: torch.zeros(shape)})
    with pytest.raises(UnknownCheckpointError, match=r"CogVideoX version in .*net\.safetensors, which does not fit"):
        load_transformer(path)


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("transformer.layers.0.attention.query_key_value.weight", ()),
        ("mixins.adaln_layer.adaLN_modulations.0.1.weight", (5, 3)),
        (f"{UPDATED}.matrix_A.0", (4, 1)),
    ],
)
def test_a_published_transformer_that_cannot_be_is_named(key: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(UnknownCheckpointError, match=r"CogVideoX version in .*net\.safetensors, which does not fit"):
        load_transformer(saved(tmp_path, {**sat_weights(), key: torch.zeros(shape)}))


@pytest.mark.parametrize("long", [(60_000, 1), (1, 60_000)])
def test_an_update_gets_no_memory_before_it_fits(long: tuple[int, int], tmp_path: Path) -> None:
    """A column times a row are 3.6 thousand million numbers; so are they where one is added to the other."""
    sides = {f"{UPDATED}.matrix_A.0": torch.zeros(1, 60_000), f"{UPDATED}.matrix_B.0": torch.zeros(60_000, 1)}
    path = saved(tmp_path, {**sat_weights(), **sides, f"{UPDATED}.weight": torch.zeros(long)})

    def attempt() -> None:
        with pytest.raises(UnknownCheckpointError, match="an update of another size"):
            load_transformer(path)

    assert grown(attempt) < MEMORY


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        (f"encoder.down_blocks.{NUMBER}.resnets.0.conv2.conv.bias", (1,)),
        (f"encoder.down_blocks.0.resnets.{NUMBER}.conv2.conv.bias", (1,)),
        ("encoder.down_blocks.9.resnets.0.conv1.conv.bias", (1,)),
        ("decoder.conv_in.conv.weight", (1,)),
        ("encoder.down_blocks.0.resnets.0.conv2.conv.bias", (33,)),
    ],
)
def test_cogvideox_s_autoencoder_that_cannot_be_is_named(key: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    path = saved(tmp_path, {**quick_vae(32, 32).state_dict(), key: torch.zeros(shape)})
    with pytest.raises(UnknownCheckpointError, match=r"autoencoder in .*net\.safetensors, which does not fit"):
        load_vae(path)


@pytest.mark.parametrize("shape", [(0, 1, 1, 1), (33, 1)])
def test_svd_s_autoencoder_that_cannot_be_is_named(shape: tuple[int, ...], tmp_path: Path) -> None:
    key = "encoder.down_blocks.0.resnets.0.conv1.weight"
    path = saved(tmp_path, {**tiny_networks()["vae"].state_dict(), key: torch.zeros(shape)})
    with pytest.raises(UnknownCheckpointError, match=r"Stable Video Diffusion in .*net\.safetensors, which does not"):
        load_svd_vae(path)


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("token_embedding.weight", (3,)),
        ("positional_embedding", ()),
        ("transformer.resblocks.0.mlp.c_fc.bias", ()),
        ("transformer.resblocks.\u00b2.ln_1.weight", (1,)),
        (f"transformer.resblocks.{'9' * 5000}x.ln_1.weight", (1,)),
    ],
)
def test_a_text_tower_that_cannot_be_is_named(key: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    path = saved(tmp_path, {**tiny_networks()["text"].state_dict(), key: torch.zeros(shape)})
    with pytest.raises(UnknownCheckpointError, match=r"text tower in .*net\.safetensors, which does not fit"):
        load_open_clip_h(path)


def test_a_t5_of_more_layers_than_tensors_is_named(tmp_path: Path) -> None:
    more = {f"encoder.block.{number}.layer.0.layer_norm.weight": torch.zeros(48) for number in range(2000)}
    path = saved(tmp_path, {**{key: value.clone() for key, value in small_t5_weights().items()}, **more})
    with pytest.raises(UnknownCheckpointError, match=r"T5's encoder.*net\.safetensors, which does not fit"):
        load_t5(path, tokenizer_json(tmp_path / "tokenizer.json"))
