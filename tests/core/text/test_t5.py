"""T5's encoder and its tokens from the files that users have."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from textovsr.core.errors import DamagedWeightsError, UnknownCheckpointError, WeightsNotFoundError
from textovsr.core.text.t5 import T5Text, encode, load_t5
from textovsr.core.text.t5_tokens import TOKENS, load_tokenizer, token_ids
from textovsr.tests.helpers.t5 import small_t5_weights, tokenizer_json, tokenizer_model
from textovsr.tests.helpers.threads import one_thread  # noqa: F401 - a fixture


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    return tokenizer_json(tmp_path / "tokenizer.json")


def saved(weights: dict[str, Tensor], path: Path) -> Path:
    save_file({key: value.clone() for key, value in weights.items()}, path)
    return path


def test_tokens_are_cut_ended_and_filled_up(tokenizer: Path) -> None:
    words = load_tokenizer(tokenizer)
    assert token_ids(words, "a cat", 6) == [3, 4, 1, 0, 0, 0]
    assert token_ids(words, "a cat " * 10, 6) == [3, 4, 3, 4, 3, 1]
    assert token_ids(words, "", 3) == [1, 0, 0]


def test_both_kinds_of_vocabulary_say_the_same(tokenizer: Path, tmp_path: Path) -> None:
    model = tokenizer_model(tmp_path / "other" / "tokenizer" / "spiece.model")
    fast, own = load_tokenizer(tokenizer), load_tokenizer(model)
    for text in ("a cat", "cats", "  a   cat ", "a\u00e4b", "a,cat"):
        assert token_ids(own, text, 9) == token_ids(fast, text, 9), text
    assert token_ids(load_tokenizer(tmp_path / "other"), "a", 3) == [3, 1, 0]


@pytest.mark.parametrize("name", ["tokenizer.json", "spiece.model"])
def test_a_vocabulary_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x0a\x7fnothing" if name.endswith("model") else b"{}")
    with pytest.raises(DamagedWeightsError, match=f"Expected T5's tokeniser in .*{name}"):
        load_tokenizer(tmp_path / name)


def test_where_there_is_no_vocabulary_it_is_said_where_to_find_one(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match="comfy/text_encoders/t5_tokenizer"):
        load_tokenizer(tmp_path)


def test_another_vocabulary_is_refused(tokenizer: Path) -> None:
    content = json.loads(tokenizer.read_text())
    content["model"]["vocab"][1][0] = "<end>"
    tokenizer.write_text(json.dumps(content))
    with pytest.raises(DamagedWeightsError, match="end of T5's texts as token 1"):
        load_tokenizer(tokenizer)


def expected(prompt: str, tokenizer: Path) -> Tensor:
    """What transformers says, all tokens attended to, in single precision."""
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=12, d_model=48, d_kv=8, d_ff=40, num_layers=2, num_heads=6, feed_forward_proj="gated-gelu"
    )
    network = T5EncoderModel(config).eval()
    network.load_state_dict(small_t5_weights(), strict=False)
    ids = torch.tensor([token_ids(load_tokenizer(tokenizer), prompt, TOKENS)])
    with torch.no_grad():
        return network(input_ids=ids).last_hidden_state[0]


@pytest.mark.parametrize("form", ["file", "folder of parts", "prefix", "without embed_tokens", "with a decoder"])
def test_the_encoder_is_read_from_any_file(form: str, tokenizer: Path, tmp_path: Path) -> None:
    weights, source = small_t5_weights(), tmp_path / "t5.safetensors"
    if form == "prefix":
        weights = {f"text_encoders.t5xxl.transformer.{key}": value for key, value in weights.items()}
    elif form == "with a decoder":
        weights["decoder.block.0.layer.0.SelfAttention.q.weight"] = torch.ones(2, 2)
    elif form == "without embed_tokens":
        del weights["encoder.embed_tokens.weight"]
    if form == "folder of parts":
        source = tmp_path / "cog"
        (source / "text_encoder").mkdir(parents=True)
        for i in range(2):
            part = {key: value for j, (key, value) in enumerate(weights.items()) if j % 2 == i}
            saved(part, source / "text_encoder" / f"model-0000{i + 1}-of-00002.safetensors")
    else:
        saved(weights, source)
    network = load_t5(source, tokenizer, torch.float32)
    found = encode(network, "a cat")
    assert found.shape == (TOKENS, 48)
    torch.testing.assert_close(found, expected("a cat", tokenizer), rtol=0, atol=1e-5)
    assert not network.training
    assert network.encoder.shared.weight is network.encoder.encoder.embed_tokens.weight


def test_what_fills_up_is_attended_to(tokenizer: Path, tmp_path: Path) -> None:
    """As CogVideoX was trained: no mask."""
    network = load_t5(saved(small_t5_weights(), tmp_path / "t5.safetensors"), tokenizer, torch.float32)
    ids = torch.tensor([token_ids(network.tokenizer, "a cat", 8)])
    with torch.no_grad():
        short, long = network(ids[:, :5]), network(ids)
    assert not torch.allclose(short[0, 0], long[0, 0], atol=1e-4)


def test_half_precision_follows_and_eight_bits_are_widened(tokenizer: Path, tmp_path: Path) -> None:
    weights = {key: value.to(torch.float8_e4m3fn) for key, value in small_t5_weights().items()}
    network = load_t5(saved(weights, tmp_path / "t5_fp8_e4m3fn.safetensors"), tokenizer)
    assert isinstance(network, T5Text)
    assert {value.dtype for value in network.parameters()} == {torch.bfloat16}
    assert encode(network, "a").isfinite().all()


def test_files_that_are_no_such_encoder_are_refused(tokenizer: Path, tmp_path: Path) -> None:
    weights = small_t5_weights()
    scaled = {**weights, "scaled_fp8": torch.zeros(2)}
    with pytest.raises(UnknownCheckpointError, match=r"scaled 8-bit ones.*t5xxl_fp16"):
        load_t5(saved(scaled, tmp_path / "scaled.safetensors"), tokenizer)
    with pytest.raises(UnknownCheckpointError, match=r"Expected T5's encoder, got .*other"):
        load_t5(saved({"some.weight": torch.ones(1)}, tmp_path / "other.safetensors"), tokenizer)
    missing = "encoder.block.1.layer.1.DenseReluDense.wo.weight"
    cut = {key: value for key, value in weights.items() if key != missing}
    with pytest.raises(UnknownCheckpointError, match=r"version 1\.1(?s:.*)Missing key(?s:.*)" + missing):
        load_t5(saved(cut, tmp_path / "cut.safetensors"), tokenizer)
    old = {key.replace("wi_0", "wi"): value for key, value in weights.items()}
    with pytest.raises(UnknownCheckpointError, match=r"version 1\.1"):
        load_t5(saved(old, tmp_path / "old.safetensors"), tokenizer)
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsNotFoundError, match=r"as \.safetensors in"):
        load_t5(tmp_path / "empty", tokenizer)


def test_numbers_of_other_kinds_are_stepped_over() -> None:
    from textovsr.core.text.t5_tokens import _fields

    message = b"\x08\x96\x01" + b"\x11" + b"\0" * 8 + b"\x1a\x02hi" + b"\x25" + struct.pack("<f", 1.5)
    assert list(_fields(message)) == [(1, 150), (2, b"\0" * 8), (3, b"hi"), (4, struct.pack("<f", 1.5))]
    with pytest.raises(ValueError, match="ends too early"):
        list(_fields(b"\x1a\x09hi"))
    with pytest.raises(ValueError, match="unknown kind 3"):
        list(_fields(b"\x0b"))


def test_a_number_without_end_is_not_read(tmp_path: Path) -> None:
    """Each byte would make it longer, and every byte after it slower."""
    (tmp_path / "spiece.model").write_bytes(b"\x0a" + b"\xff" * 5000)
    with pytest.raises(DamagedWeightsError, match="a number without end"):
        load_tokenizer(tmp_path / "spiece.model")
