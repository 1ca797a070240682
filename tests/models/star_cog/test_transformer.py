"""STAR's CogVideoX transformer against the published code and its checkpoint's keys."""

import pytest
import torch
from torch import Tensor

from textovsr.models.star_cog.checkpoint import holds_transformer, transformer_keys
from textovsr.models.star_cog.config import TransformerConfig, read_config
from textovsr.models.star_cog.transformer import SpatialGate, StarCogTransformer
from textovsr.tests.helpers.star_cog import published_keys, sat_weights, small_transformer, star_cog_golden


def test_the_keys_are_those_of_the_published_network() -> None:
    with torch.device("meta"):
        ours = StarCogTransformer().state_dict()
    assert {key: list(value.shape) for key, value in ours.items()} == published_keys()
    assert read_config(ours) == TransformerConfig()


@torch.inference_mode()
def test_the_velocity_is_the_published_one() -> None:
    golden = star_cog_golden()
    found = small_transformer()(golden["x"], golden["t"], golden["ctx"])
    torch.testing.assert_close(found, golden["out"], rtol=0, atol=1e-5)


@torch.inference_mode()
def test_the_wide_layer_in_pieces_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    golden = star_cog_golden()
    monkeypatch.setattr("textovsr.models.star_cog.transformer._AT_ONCE", 7)
    found = small_transformer()(golden["x"], golden["t"], golden["ctx"])
    torch.testing.assert_close(found, golden["out"], rtol=0, atol=1e-5)


@torch.inference_mode()
def test_gates_see_seven_by_seven_tokens_of_their_own_frame() -> None:
    gate = SpatialGate()
    torch.nn.init.constant_(gate.conv1.weight, 0.01)
    x = torch.rand(2, 12, 12, 3)
    nudged = x.clone()
    nudged[0, 5, 5] += 1
    changed = (gate(nudged) - gate(x)).abs().amax(dim=-1) > 0
    expected = torch.zeros(2, 12, 12, dtype=torch.bool)
    expected[0, 2:9, 2:9] = True
    assert torch.equal(changed, expected)


def unmerged(rank: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The golden weights with low-rank updates beside them, and with the same added."""
    apart, merged = {}, dict(sat_weights())
    generator = torch.Generator().manual_seed(0)
    for key, value in sat_weights().items():
        name, _, kind = key.rpartition(".")
        if not name.endswith((".query_key_value", ".attention.dense")):
            apart[key] = value
            continue
        apart[f"{name}.original.{kind}"] = value
        if kind == "weight":
            parts = value.chunk(3) if name.endswith("value") else (value,)
            for i, part in enumerate(parts):
                apart[f"{name}.matrix_A.{i}"] = torch.randn(rank, part.shape[1], generator=generator)
                apart[f"{name}.matrix_B.{i}"] = torch.randn(part.shape[0], rank, generator=generator)
            products = [apart[f"{name}.matrix_B.{i}"] @ apart[f"{name}.matrix_A.{i}"] for i in range(len(parts))]
            merged[key] = value + torch.cat(products) / rank
    return apart, merged


def test_updates_that_are_apart_are_merged() -> None:
    apart, merged = unmerged(rank=4)
    found, expected = transformer_keys(apart), transformer_keys(merged)
    assert found.keys() == expected.keys()
    for key, value in found.items():
        torch.testing.assert_close(value, expected[key], rtol=0, atol=1e-6, msg=key)
    plain = transformer_keys(sat_weights())
    assert not torch.equal(
        found["transformer_blocks.1.attn1.to_k.weight"], plain["transformer_blocks.1.attn1.to_k.weight"]
    )


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_any_layout_of_the_file_is_read(prefix: str) -> None:
    expected = transformer_keys(sat_weights())
    file = {prefix + key: value for key, value in sat_weights().items()}
    file["first_stage_model.encoder.conv_in.conv.weight"] = torch.ones(1)
    assert holds_transformer(file)
    assert transformer_keys(file).keys() == expected.keys()
    ours = {prefix + key: value for key, value in expected.items()}
    again = transformer_keys(ours)
    assert holds_transformer(ours)
    assert all(torch.equal(again[key], value) for key, value in expected.items())
    halves = transformer_keys(file, torch.bfloat16)
    assert {value.dtype for value in halves.values()} == {torch.bfloat16}


def test_what_is_not_changed_is_not_copied() -> None:
    file = sat_weights()
    found = transformer_keys(file)
    same = found["transformer_blocks.0.attn1.to_v.weight"]
    whole = file["transformer.layers.0.attention.query_key_value.weight"]
    assert same.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()


def test_other_files_are_refused() -> None:
    assert not holds_transformer({"mixins.patch_embed.proj.weight": torch.ones(1)})
    with pytest.raises(LookupError, match=r"proj_sr\.weight or patch_embed"):
        transformer_keys({"some.weight": torch.ones(1)})
    stray = {**sat_weights(), "transformer.layers.9.attention.dense.matrix_A.0": torch.ones(4, 8)}
    with pytest.raises(LookupError, match=r"update transformer\.layers\.9\.attention\.dense belongs"):
        transformer_keys(stray)
