"""The network against the published one, and the configuration read off its checkpoints."""

import json
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from textovsr.core.errors import ShapeError
from textovsr.models.clip_text import ClipTextConfig
from textovsr.models.text_ovsr import LITE, TextOVSR, TextOVSRConfig, propagate, read_config, shuffled_convolution
from textovsr.tests.helpers.networks import tiny_network
from textovsr.tests.helpers.rule import GOLDEN, read_case, read_rule

TOLERANCE = {"rtol": 0, "atol": 1e-5}
"""Against the authors' code in fp32 with rule-made weights (tests/golden/README.md)."""


@cache
def golden_network() -> TextOVSR:
    rule = read_rule()
    size = rule.text_encoder
    text = ClipTextConfig(
        vocabulary=size["vocab_size"],
        width=size["hidden_size"],
        layers=size["num_hidden_layers"],
        heads=size["num_attention_heads"],
        hidden=size["intermediate_size"],
    )
    network = TextOVSR(TextOVSRConfig(text=text))
    own = network.state_dict()
    made = {key: own[key] if key.endswith(("spynet.mean", "spynet.std")) else rule.weight(key) for key in rule.keys}
    network.load_state_dict(made, strict=True)
    return network.eval().requires_grad_(False)


def assert_output(out: Tensor, case: dict[str, Tensor]) -> None:
    torch.testing.assert_close(out[..., ::2, ::2], case["out_even"], **TOLERANCE)
    torch.testing.assert_close(out[..., 1::4, 1::4], case["out_odd"], **TOLERANCE)


@pytest.mark.parametrize("name", ["plain", "othertext", "cleaned3", "odd", "mirror"])
@torch.inference_mode()
def test_equals_the_published_network(name: str) -> None:
    case, network = read_case(name), golden_network()
    cleaned = network.clean(case["lr"][0], 0.0 if name == "cleaned3" else 255.0)[None]
    torch.testing.assert_close(cleaned, case["cleaned"], **TOLERANCE)
    assert_output(network.upscale(cleaned, case["input_ids"], case["attention_mask"]), case)


@torch.inference_mode()
def test_the_negative_branch_equals_the_published_one() -> None:
    case = read_case("negative")
    assert_output(golden_network().negative(case["lr"], case["input_ids"], case["attention_mask"]), case)


@torch.inference_mode()
def test_every_step_equals_the_published_one() -> None:
    case, network = read_case("plain"), golden_network()
    cleaned = case["cleaned"][0]
    text = network.embed_text(case["input_ids"], case["attention_mask"])
    torch.testing.assert_close(text, case["mid.token_embeds"], **TOLERANCE)
    torch.testing.assert_close(network.extract(cleaned, text)[:, :8], case["mid.fused"], **TOLERANCE)
    forward, backward = network.flow(cleaned[1:], cleaned[:-1]), network.flow(cleaned[:-1], cleaned[1:])
    torch.testing.assert_close(forward, case["mid.flows_forward"], **TOLERANCE)
    torch.testing.assert_close(backward, case["mid.flows_backward"], **TOLERANCE)


@torch.inference_mode()
def test_the_propagated_features_equal_the_published_ones() -> None:
    case, network = read_case("plain"), golden_network()
    features = network.extract(case["cleaned"][0], case["mid.token_embeds"])
    core, states = network.basicvsr, {"forward": [], "backward": []}
    for i in range(3):
        flow = case["mid.flows_forward"][i - 1 : i] if i else None
        state = states["forward"][-1] if i else None
        states["forward"].append(propagate(core.forward_resblocks_layer10_po, features[i : i + 1], state, flow))
    for i in (2, 1, 0):
        flow = case["mid.flows_backward"][i : i + 1] if i < 2 else None
        state = states["backward"][0] if i < 2 else None
        states["backward"].insert(0, propagate(core.backward_resblocks_layer10_po, features[i : i + 1], state, flow))
    for direction, found in states.items():
        torch.testing.assert_close(torch.cat(found)[:, :8], case[f"mid.feat_{direction}"], **TOLERANCE)


def test_keys_and_shapes_are_those_of_the_published_checkpoint() -> None:
    manifest = json.loads((GOLDEN / "textovsr_manifest.json").read_text("utf-8"))
    with torch.device("meta"):
        network = TextOVSR()
    assert {f"generator_ema.{key}": list(value.shape) for key, value in network.state_dict().items()} == manifest


def test_the_size_is_the_published_one() -> None:
    """5,650,310 parameters beside SPyNet and the text encoder: the paper's 5.7M."""
    with torch.device("meta"):
        network = TextOVSR()
    others = ("basicvsr.spynet.", "basicvsr.text_encoder.")
    assert sum(p.numel() for name, p in network.named_parameters() if not name.startswith(others)) == 5_650_310


def test_the_configuration_of_the_published_network_is_read_back() -> None:
    with torch.device("meta"):
        network = TextOVSR()
    assert read_config(network.state_dict()) == TextOVSRConfig()


def test_the_configuration_of_the_small_network_is_read_back() -> None:
    assert read_config(TextOVSR(LITE).state_dict()) == LITE


CONFIGS = st.builds(
    TextOVSRConfig,
    channels=st.integers(1, 6).map(lambda n: 2 * n),
    blocks=st.integers(1, 12),
    cleaning_blocks=st.integers(1, 12),
    flow_levels=st.integers(1, 6),
    attention_window=st.sampled_from([0, 4, 8]),
    text_hidden=st.integers(1, 9),
    negative=st.booleans(),
    text=st.builds(
        lambda vocabulary, heads, layers, hidden: ClipTextConfig(vocabulary, 64 * heads, layers, heads, hidden),
        st.integers(3, 40),
        st.integers(1, 2),
        st.integers(1, 12),
        st.integers(1, 9),
    ),
)


@settings(max_examples=12, deadline=None)
@given(config=CONFIGS)
def test_every_configuration_is_read_back(config: TextOVSRConfig) -> None:
    assert read_config(TextOVSR(config).state_dict()) == config


def prompts(frames: int) -> tuple[Tensor, Tensor]:
    return torch.full((frames, 77), 7), torch.ones(frames, 77, dtype=torch.int64)


@torch.inference_mode()
def test_one_frame_is_a_clip() -> None:
    assert tiny_network()(torch.rand(1, 1, 3, 64, 66), *prompts(1)).shape == (1, 1, 3, 256, 264)


@torch.inference_mode()
def test_clips_of_a_batch_do_not_touch() -> None:
    network, clips = tiny_network(), torch.rand(2, 3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    together = network(clips, *prompts(6))
    alone = torch.cat([network(clip[None], *prompts(3)) for clip in clips])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("threshold", "passes"), [(255.0, 1), (0.0, 3)])
@torch.inference_mode()
def test_the_whole_is_cleaning_and_upscaling(threshold: float, passes: int) -> None:
    network, clip = tiny_network(), torch.rand(1, 2, 3, 64, 64)
    cleaned = network.clean(clip[0], 255.0)
    for _ in range(passes - 1):
        cleaned = network.clean(cleaned, 255.0)
    out = network(clip, *prompts(2), cleaning_threshold=threshold)
    torch.testing.assert_close(out, network.upscale(cleaned[None], *prompts(2)))


@pytest.mark.parametrize("mirrored", [True, False])
@torch.inference_mode()
def test_a_mirrored_clip_needs_its_flow_once(mirrored: bool) -> None:
    network, calls = tiny_network(), []
    network.basicvsr.spynet.register_forward_hook(lambda *_: calls.append(1))
    half = torch.rand(1, 2, 3, 64, 64)
    clip = torch.cat([half, half.flip(1) if mirrored else half], dim=1)
    network.upscale(clip, *prompts(4))
    assert len(calls) == (1 if mirrored else 2)


@torch.inference_mode()
def test_equal_prompts_are_encoded_once() -> None:
    network, rows = tiny_network(), []
    network.basicvsr.text_encoder.register_forward_hook(lambda _, inputs, __: rows.append(inputs[0].shape[0]))
    ids, mask = prompts(6)
    ids[4:] = 9
    embedded = network.embed_text(ids, mask)
    assert rows == [2]
    assert torch.equal(embedded[0], embedded[3])
    assert not torch.equal(embedded[0], embedded[4])


@pytest.mark.parametrize("shape", [(1, 2, 3, 63, 64), (1, 2, 3, 64, 32), (1, 2, 1, 64, 64), (2, 3, 64, 64)])
def test_clips_of_the_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"at least 64, got .*pad smaller frames"):
        tiny_network()(torch.rand(shape), *prompts(2))


def test_the_shuffled_convolution_of_a_gpu_is_the_convolution_and_the_shuffle() -> None:
    layer = torch.nn.Conv2d(6, 20, 3, padding=1).requires_grad_(False).to(memory_format=torch.channels_last)
    x = torch.rand(2, 6, 9, 11).contiguous(memory_format=torch.channels_last)
    found = shuffled_convolution(x, layer)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, F.pixel_shuffle(layer(x), 2), rtol=0, atol=1e-6)


def test_frames_stay_precise_where_the_weights_are_not() -> None:
    """The bilinear base is added in the precision of the cleaned frame."""
    network = tiny_network().half()
    for parameter in network.basicvsr.conv_last.parameters():
        parameter.zero_()
    c = network.config.channels
    cleaned = torch.rand(1, 3, 64, 64)
    found = network.reconstruct(torch.rand(1, c, 64, 64).half(), torch.rand(1, c, 64, 64).half(), cleaned)
    assert torch.equal(found, F.interpolate(cleaned, scale_factor=4, mode="bilinear", align_corners=False))
