"""Networks that a small file asks to be larger than it is: time and memory are those of the file."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from textovsr.core.errors import MissingDependencyError, SettingError, UnknownCheckpointError
from textovsr.models.building import MOST_TENSORS, fitting, without_memory
from textovsr.models.diffvsr.config import UNetConfig
from textovsr.models.diffvsr.unet import UNet
from textovsr.models.registry import load_network
from textovsr.models.sdatc.base import load_unet, load_vae
from textovsr.models.sdatc.checkpoint import build_stage1, build_stage2, read_header, stage1_tensors, stage2_tensors
from textovsr.models.star.config import StarNetConfig
from textovsr.models.star.net import StarNet
from textovsr.tests.helpers.hostile import MEMORY, grown
from textovsr.tests.helpers.sdatc import TINY, tiny_networks, tiny_unet, tiny_vae

State = dict[str, Tensor]


def shapes_of(make: Callable[[], torch.nn.Module]) -> State:
    """A network's state without memory for its numbers."""
    with torch.device("meta"):
        network = make()
    return {key: torch.zeros((), dtype=value.dtype).expand(value.shape) for key, value in network.state_dict().items()}


@pytest.fixture(scope="module")
def unet() -> State:
    return dict(tiny_unet().state_dict())


@pytest.fixture(scope="module")
def vae() -> State:
    return dict(tiny_vae().state_dict())


def test_layers_that_no_tensors_are_there_for_are_not_made() -> None:
    """Levels times blocks: two thousand names asked for 300 levels of 900 blocks each."""
    state = shapes_of(lambda: UNet(UNetConfig((32, 32), blocks=1, heads=1, context=8, noise_levels=4)))
    one = torch.zeros(32)
    state |= {f"down_blocks.{level}.resnets.0.conv2.bias": one for level in range(300)}
    state |= {f"down_blocks.0.resnets.{block}.conv2.bias": one for block in range(900)}
    with pytest.raises(UnknownCheckpointError, match=r"DiffVSR's denoiser.*count more layers than there are tensors"):
        load_network(state)


def test_levels_without_end_are_not_made() -> None:
    state = shapes_of(lambda: StarNet(StarNetConfig(32, (1, 1), blocks=1, head_width=16, first_heads=1, context=8)))
    state |= {f"input_blocks.{number}.op.weight": torch.zeros(1) for number in range(1, 1000, 2)}
    block = "input_blocks.{}.0.out_layers.3.weight"
    state |= {block.format(number): torch.zeros(32, 1) for number in range(2, 1000, 2)}
    with pytest.raises(UnknownCheckpointError, match=r"STAR's denoiser.*does not fit"):
        load_network(state)


def test_more_tensors_than_a_network_has_are_not_loaded(unet: State) -> None:
    many = {f"x{number}": torch.zeros(1) for number in range(MOST_TENSORS + 1)}
    with pytest.raises(UnknownCheckpointError, match="tensors, more than"):
        load_unet({**unet, **many})
    with pytest.raises(ValueError, match="more than any network has"), without_memory(MOST_TENSORS + 1):
        pass


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("conv_in.weight", (32,)),
        ("conv_out.weight", ()),
        ("mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", (1,)),
        ("down_blocks.0.resnets.0.conv1.weight", (33, 1)),
        ("down_blocks.0.resnets.0.conv1.weight", (0, 1)),
        ("down_blocks.1.resnets.0.conv1.weight", ()),
    ],
)
def test_sizes_of_a_unet_that_cannot_be_are_named(unet: State, key: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(UnknownCheckpointError, match=r"network in file\.ckpt, which does not fit"):
        load_unet({**unet, key: torch.zeros(shape)}, "file.ckpt")


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("decoder.conv_in.weight", (1,)),
        ("encoder.down_blocks.0.resnets.0.conv1.weight", (0, 1)),
        ("encoder.down_blocks.1.resnets.0.conv1.weight", ()),
    ],
)
def test_sizes_of_an_autoencoder_that_cannot_be_are_named(vae: State, key: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(UnknownCheckpointError, match=r"network in file\.ckpt, which does not fit"):
        load_vae({**vae, key: torch.zeros(shape)}, "file.ckpt")


def test_original_names_that_cannot_be_are_named() -> None:
    with pytest.raises(UnknownCheckpointError):
        load_unet({"input_blocks.0.0.weight": torch.zeros(1), "middle_block.1.q.weight": torch.zeros(1)})
    attention = {"decoder.mid.attn_1.q.weight": torch.zeros(1, 1, 0)}
    with pytest.raises(UnknownCheckpointError, match="does not fit"):
        load_vae({"decoder.up.0.block.0.conv1.weight": torch.zeros(1), **attention})


@pytest.fixture(scope="module")
def stages() -> tuple[State, State]:
    networks: Mapping[str, Any] = tiny_networks()
    return stage1_tensors(networks["dcm"], networks["denoiser"]), stage2_tensors(networks["vae"])


def changed(part: str, **values: object) -> dict[str, str]:
    """The header of a stage that says something else."""
    sizes = TINY.as_dict()
    return {"config": json.dumps({**sizes, part: {**sizes[part], **values}}), "steps": "7"}


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("control", {"channels": 33}),
        ("control", {"channels": 1 << 70}),
        ("control", {"multipliers": [1.5, 1]}),
        ("unet_capm", {"prompts": 2.5}),
        ("unet_capm", {"hidden": 1 << 62}),
        ("unet_capm", {"expansion": 1e308}),
        ("unet_capm", {"expansion": 10**400}),
    ],
)
def test_a_header_of_the_first_stage_that_cannot_be_is_named(
    stages: tuple[State, State], part: str, values: dict[str, object]
) -> None:
    with pytest.raises(UnknownCheckpointError, match=r"(header of|in) net, wh"):
        build_stage1(stages[0], read_header(changed(part, **values), "net")[0], tiny_unet(), "net")


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("cfw", {"levels": [2, "2"]}),
        ("cfw", {"levels": [9]}),
        ("cfw", {"levels": 2}),
        ("stam", {"attention": 0}),
        ("vae_capm", {"heads": 1.5}),
    ],
)
def test_a_header_of_the_second_stage_that_cannot_be_is_named(
    stages: tuple[State, State], part: str, values: dict[str, object]
) -> None:
    with pytest.raises(UnknownCheckpointError, match=r"(header of|in) net, wh"):
        build_stage2(stages[1], read_header(changed(part, **values), "net")[0], tiny_vae(), "net")


@pytest.mark.parametrize("shape", [(1, 60_000), (60_000, 1)])
def test_the_first_stage_gets_no_memory_before_its_sizes_are_borne_out(
    stages: tuple[State, State], shape: tuple[int, int]
) -> None:
    """Its distortion control module would have taken 60,000 times 180,000 numbers, out of a file of 60,000."""
    key = "dcm.layers.0.residual_group.blocks.0.mlp.fc1.weight"

    def attempt() -> None:
        with pytest.raises(UnknownCheckpointError, match="distortion control module checkpoint, got net, which does"):
            build_stage1({**stages[0], key: torch.zeros(shape)}, TINY, tiny_unet(), "net")

    assert grown(attempt) < MEMORY


def test_a_distortion_control_module_of_wide_windows_is_named(stages: tuple[State, State]) -> None:
    key = "dcm.layers.0.residual_group.blocks.0.attn.relative_position_bias_table"
    with pytest.raises(UnknownCheckpointError, match="got net, which does not fit: windows of 512 pixels"):
        build_stage1({**stages[0], key: torch.zeros(1 << 20, 1)}, TINY, tiny_unet(), "net")


def test_a_long_reason_is_cut() -> None:
    with pytest.raises(UnknownCheckpointError) as caught, fitting("a net", "get another"):
        raise RuntimeError("x" * 100_000)
    assert len(str(caught.value)) < 3000
    assert str(caught.value).endswith("...; get another.")


def test_what_is_not_the_file_s_fault_is_not_said_of_it() -> None:
    with pytest.raises(MissingDependencyError), fitting("a net", "get another"):
        raise MissingDependencyError("diffusers")
    with pytest.raises(UnknownCheckpointError, match="does not fit: no such"), fitting("a net", "get another"):
        raise SettingError("no such")
