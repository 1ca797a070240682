"""The pack as ComfyUI meets it: loaded by path, listed by the server, standing when a package is missing."""

import asyncio
import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from textovsr.tools.comfy_client import ComfyClient, PromptRejectedError
from textovsr.tools.comfy_server import ComfyServer


def test_the_entry_point_is_a_coroutine_and_the_only_one(pack: ModuleType) -> None:
    assert asyncio.iscoroutinefunction(pack.comfy_entrypoint)
    assert not hasattr(pack, "NODE_CLASS_MAPPINGS")  # ComfyUI would ignore the entry point


def test_it_returns_an_extension_of_nodes(pack: ModuleType) -> None:
    from comfy_api.latest import ComfyExtension

    assert isinstance(asyncio.run(pack.comfy_entrypoint()), ComfyExtension)


def test_every_node_id_is_the_class_with_our_prefix(nodes: dict[str, Any]) -> None:
    assert {node_id: f"OVSR_{node.__name__}" for node_id, node in nodes.items()} == {name: name for name in nodes}


def test_every_node_is_in_our_category(nodes: dict[str, Any]) -> None:
    assert all(node.GET_SCHEMA().category.startswith("TextOVSR/") for node in nodes.values())


def test_a_node_whose_package_is_missing_is_left_out_with_the_cure(
    pack: ModuleType, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    extension = sys.modules[f"{pack.__name__}.nodes.extension"]
    (tmp_path / "needy.py").write_text("import not_here.inner\n", "utf-8")
    monkeypatch.setattr(sys.modules[f"{pack.__name__}.nodes"], "__path__", [str(tmp_path)])
    with caplog.at_level(logging.WARNING):
        assert extension.load_node("needy", "Needy") is None
    assert "Needy" in caplog.text
    assert f"{sys.executable} -m pip install not_here" in caplog.text


def test_a_mistake_of_our_own_is_not_taken_for_a_missing_package(
    pack: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    extension = sys.modules[f"{pack.__name__}.nodes.extension"]
    (tmp_path / "wrong.py").write_text("from . import nowhere\n", "utf-8")
    monkeypatch.setattr(sys.modules[f"{pack.__name__}.nodes"], "__path__", [str(tmp_path)])
    with pytest.raises(ImportError, match="nowhere"):
        extension.load_node("wrong", "Wrong")


def test_the_server_loads_the_pack_without_a_complaint(server: ComfyServer) -> None:
    loading = server.log_text().partition("To see the GUI go to")[0].replace("\\", "/").splitlines()
    about_us = [line for line in loading if "custom_nodes/textovsr" in line or "TextOVSR:" in line]
    assert len(about_us) == 1  # its import time
    assert "FAILED" not in about_us[0]


def test_the_server_offers_every_node(client: ComfyClient, nodes: dict[str, Any]) -> None:
    ours = {name for name in client.object_info() if name.startswith("OVSR_")}
    assert ours == set(nodes)


def test_a_wrong_prompt_is_rejected_with_a_reason(client: ComfyClient) -> None:
    with pytest.raises(PromptRejectedError, match="Nonsense"):
        client.submit({"1": {"class_type": "Nonsense", "inputs": {}}})
