"""Which flow networks there are, and loading them."""

from pathlib import Path

import pytest
import torch

from textovsr.core.errors import UnknownCheckpointError, WeightsNotFoundError
from textovsr.core.motion.networks import SHIPPED_FLOW, find_flow_net, list_flow_nets, load_flow_net
from textovsr.models.raft import RAFT, SMALL
from textovsr.models.spynet import SPyNet


def test_the_shipped_one_comes_first_and_needs_no_file() -> None:
    assert list_flow_nets([]) == [SHIPPED_FLOW]
    assert find_flow_net(SHIPPED_FLOW, []) is None
    network = load_flow_net(None)
    assert isinstance(network, SPyNet)
    assert len(network.basic_module) == 6


def test_files_that_may_hold_a_flow_are_listed(tmp_path: Path) -> None:
    mixed, own = tmp_path / "textovsr", tmp_path / "optical_flow"
    for path in (mixed / "raft-things.pth", mixed / "upscaler.pth", own / "a" / "any.pt", own / "notes.txt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    assert list_flow_nets([mixed, own]) == [SHIPPED_FLOW, "a/any.pt", "raft-things.pth"]
    assert find_flow_net("a/any.pt", [mixed, own]) == (own / "a" / "any.pt").resolve()


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"SPyNet \(shipped\), got 'raft\.pth'; choose"):
        find_flow_net("raft.pth", [tmp_path])


def test_a_raft_of_the_user_s_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "raft_small.pth"
    torch.save(RAFT(SMALL).state_dict(), path)
    loaded = load_flow_net(path)
    assert isinstance(loaded, RAFT)
    assert not loaded.training


def test_other_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "flow.pth"
    torch.save({"weight": torch.ones(1)}, path)
    with pytest.raises(UnknownCheckpointError, match="a checkpoint of RAFT"):
        load_flow_net(path)
