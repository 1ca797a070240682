"""CLIP's text tower from the files that users have, and prompts that are embedded once."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from textovsr.core.config import RecurrentConfig
from textovsr.core.errors import DamagedWeightsError, UnknownCheckpointError, WeightsNotFoundError
from textovsr.core.restorers.text_ovsr import TextOVSRRestorer
from textovsr.core.text.encode import tokenize
from textovsr.core.text.tower import load_text_tower
from textovsr.tests.helpers.networks import tiny_network

_SIZES = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 1}


@pytest.fixture(scope="module")
def clip() -> Any:
    """A small CLIP of transformers, whole: both towers and the projections."""
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    picture = {**_SIZES, "image_size": 32, "patch_size": 16}
    return CLIPModel(CLIPConfig(text_config={**_SIZES, "vocab_size": 49408}, vision_config=picture)).eval()


@pytest.fixture
def folder(clip: Any, tmp_path: Path) -> Path:
    clip.save_pretrained(tmp_path / "clip")
    return tmp_path / "clip"


def expected(clip: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return clip.text_model(input_ids=ids, attention_mask=mask).last_hidden_state


@torch.inference_mode()
@pytest.mark.parametrize("prefix", ["", "clip_l.transformer.", "cond_stage_model.transformer."])
def test_a_folder_and_a_file_give_the_tower_s_own_features(
    clip: Any, folder: Path, tmp_path: Path, prefix: str
) -> None:
    ids, mask = tokenize(["a photo of a cat", ""])
    whole = expected(clip, ids, mask)
    torch.testing.assert_close(load_text_tower(folder)(ids, mask), whole, rtol=0, atol=1e-6)
    weights = {prefix + key: value for key, value in clip.state_dict().items() if key.startswith("text_model.")}
    weights[f"{prefix}text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(weights, tmp_path / "clip_l.safetensors")
    torch.testing.assert_close(load_text_tower(tmp_path / "clip_l.safetensors")(ids, mask), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("text_model.embeddings.token_embedding.weight", "Expected CLIP's text tower with the key"),
        ("text_model.embeddings.position_embedding.weight", "its layers are missing"),
        ("text_model.encoder.layers.1.mlp.fc2.bias", r"1 keys are missing and 0 are unknown, such as .*fc2\.bias"),
    ],
)
def test_what_is_missing_is_named(clip: Any, tmp_path: Path, lost: str, message: str) -> None:
    weights = {key: value for key, value in clip.state_dict().items() if key.startswith("text_model.") and key != lost}
    save_file(weights, tmp_path / "part.safetensors")
    with pytest.raises(UnknownCheckpointError, match=message):
        load_text_tower(tmp_path / "part.safetensors")


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"a folder with model\.safetensors"):
        load_text_tower(tmp_path)
    (tmp_path / "short.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(DamagedWeightsError):
        load_text_tower(tmp_path / "short.safetensors")


def test_each_prompt_is_embedded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny_network()
    embedded: list[int] = []
    plain = network.embed_text

    def counted(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        embedded.append(len(ids))
        return plain(ids, mask)

    monkeypatch.setattr(network, "embed_text", counted)
    restorer = TextOVSRRestorer(network, RecurrentConfig(), torch.device("cpu"), 10**9)
    texts = [restorer.text(prompt) for prompt in ("a cat", "a dog", "a cat", "a dog", "a cat")]
    assert embedded == [1, 1]
    assert texts[0] is texts[2] is texts[4]
    assert not torch.equal(texts[0], texts[1])
