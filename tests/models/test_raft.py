"""RAFT: torchvision's numbers from the same weights, the authors' key names, padding, detection."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from textovsr.core.errors import ShapeError, UnknownCheckpointError
from textovsr.models.raft import LARGE, RAFT, SMALL, RaftConfig
from textovsr.models.raft_names import rename_published
from textovsr.models.registry import RAFTS, load_network

CONFIGS = {"large": LARGE, "small": SMALL}


def network(config: RaftConfig, seed: int = 0) -> RAFT:
    """Random weights and statistics."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = RAFT(config).eval().requires_grad_(False)
        for key, value in made.state_dict().items():
            if key.endswith(("running_mean", "running_var")):
                value.uniform_(0.5, 1.5)
    return made


def pictures(height: int, width: int, count: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(height + width)
    first, second = torch.rand(2, count, 3, height, width, generator=generator)
    return first, second


@pytest.mark.parametrize("name", ["large", "small"])
def test_it_is_torchvision_s_network(name: str) -> None:
    flows = pytest.importorskip("torchvision.models.optical_flow")
    published = {"large": flows.raft_large, "small": flows.raft_small}[name](weights=None).eval()
    ours = network(CONFIGS[name])
    published.load_state_dict(ours.state_dict(), strict=True)
    first, second = pictures(128, 136, 2)
    with torch.no_grad():
        expected = published(2 * first - 1, 2 * second - 1, num_flow_updates=3)[-1]
    found = ours(first, second, iterations=3)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def authors_key(key: str) -> str:
    """The name that the authors' code gives a weight; written the other way round than ``raft_names``."""
    for ours, theirs in (
        (r"^feature_encoder", "fnet"),
        (r"^context_encoder", "cnet"),
        (r"^(.net)\.convnormrelu\.0", r"\1.conv1"),
        (r"^(.net)\.convnormrelu\.1", r"\1.norm1"),
        (r"^(.net)\.conv\.", r"\1.conv2."),
        (r"convnormrelu(\d)\.0", r"conv\1"),
        (r"convnormrelu(\d)\.1", r"norm\1"),
        (r"motion_encoder\.convcorr(\d)\.0", r"encoder.convc\1"),
        (r"motion_encoder\.convflow(\d)\.0", r"encoder.convf\1"),
        (r"motion_encoder\.conv\.0", "encoder.conv"),
        (r"recurrent_block\.convgru(\d)\.conv([zrq])", r"gru.conv\2\1"),
        (r"mask_predictor\.convrelu\.0", "update_block.mask.0"),
        (r"mask_predictor\.conv\.", "update_block.mask.2."),
    ):
        key = re.sub(ours, theirs, key)
    return key


def authors_state(config: RaftConfig) -> dict[str, Tensor]:
    state = {authors_key(key): value for key, value in network(config).state_dict().items()}
    if not config.large:
        state = {re.sub(r"gru\.conv([zrq])1", r"gru.conv\1", key): value for key, value in state.items()}
    doubles = {key.replace("downsample.1", "norm3"): value for key, value in state.items() if "downsample.1" in key}
    return {**state, **doubles}


def test_the_authors_checkpoint_has_179_keys_of_these_names() -> None:
    state = authors_state(LARGE)
    assert len(state) == 179
    for key, shape in {
        "fnet.layer2.0.downsample.0.weight": (96, 64, 1, 1),
        "cnet.layer3.1.norm2.running_var": (128,),
        "cnet.layer2.0.norm3.num_batches_tracked": (),
        "cnet.conv2.bias": (256,),
        "update_block.encoder.convc1.weight": (256, 324, 1, 1),
        "update_block.encoder.conv.weight": (126, 256, 3, 3),
        "update_block.gru.convq2.weight": (128, 384, 5, 1),
        "update_block.flow_head.conv2.weight": (2, 256, 3, 3),
        "update_block.mask.2.weight": (576, 256, 1, 1),
    }.items():
        assert tuple(state[key].shape) == shape


@pytest.mark.parametrize("prefix", ["", "module.", "flownet_model."])
@pytest.mark.parametrize("name", ["large", "small"])
def test_a_checkpoint_of_the_authors_is_recognised(name: str, prefix: str) -> None:
    state = {prefix + key: value for key, value in authors_state(CONFIGS[name]).items()}
    if prefix == "flownet_model.":
        state["model.diffusion_model.out.2.bias"] = torch.zeros(4)
    loaded = load_network(state, RAFTS)
    assert isinstance(loaded, RAFT)
    assert loaded.config == CONFIGS[name]
    expected = network(CONFIGS[name]).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in loaded.state_dict().items())


@pytest.mark.parametrize("name", ["large", "small"])
def test_a_checkpoint_of_torchvision_is_recognised(name: str, tmp_path: Path) -> None:
    path = tmp_path / "raft.pth"
    torch.save(network(CONFIGS[name]).state_dict(), path)
    loaded = load_network(path)
    assert isinstance(loaded, RAFT)
    assert loaded.config == CONFIGS[name]


def test_a_key_too_many_or_too_few_is_named() -> None:
    state = authors_state(SMALL)
    with pytest.raises(UnknownCheckpointError, match=r"(?s)RAFT.*surprise"):
        load_network({**state, "fnet.surprise": torch.ones(1)})
    missing = {key: value for key, value in state.items() if key != "update_block.gru.convz.bias"}
    with pytest.raises(UnknownCheckpointError, match=r"(?s)RAFT.*convgru1\.convz\.bias"):
        load_network(missing)


def test_only_raft_is_looked_for_when_that_is_asked() -> None:
    with pytest.raises(UnknownCheckpointError, match="a checkpoint of RAFT, got"):
        load_network({"image_cleaning.1.weight": torch.ones(1)}, RAFTS)


def test_renaming_takes_each_key_once() -> None:
    renamed = rename_published(authors_state(LARGE))
    assert renamed.keys() == network(LARGE).state_dict().keys()


@pytest.mark.parametrize("size", [(40, 200), (130, 141)])
def test_any_size_is_taken(size: tuple[int, int]) -> None:
    first, second = pictures(*size)
    flow = network(SMALL)(first, second, iterations=2)
    assert flow.shape == (1, 2, *size)
    assert flow.isfinite().all()


def test_padding_repeats_the_border() -> None:
    first, second = pictures(120, 128)
    wide = [torch.cat([x, x[:, :, -1:].expand(-1, -1, 8, -1)], dim=2) for x in (first, second)]
    net = network(SMALL)
    torch.testing.assert_close(net(first, second, iterations=1), net(*wide, iterations=1)[:, :, :120])


def test_pictures_may_be_left_as_they_are() -> None:
    first, second = pictures(128, 128)
    net = network(SMALL)
    torch.testing.assert_close(net(first, second, 1, centred=False), net((first + 1) / 2, (second + 1) / 2, 1))


def test_pairs_of_a_batch_do_not_touch() -> None:
    first, second = pictures(128, 128, 2)
    net = network(SMALL)
    together = net(first, second, iterations=2)
    torch.testing.assert_close(together[1:], net(first[1:], second[1:], iterations=2), rtol=0, atol=1e-4)


def test_another_size_is_refused() -> None:
    with pytest.raises(ShapeError, match="two pictures of one shape"):
        network(SMALL)(pictures(128, 128)[0], pictures(128, 136)[0])
