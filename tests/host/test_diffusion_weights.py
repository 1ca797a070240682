"""DiffusionWeights in a real ComfyUI: what is there and what is missing, followed on the disk; consent before bytes."""

import sys
from pathlib import Path
from typing import Any

import pytest

from textovsr.models.published import DIFFVSR, MGLD
from textovsr.tests.helpers.published import write_header, write_needed
from textovsr.tools.comfy_client import ComfyClient
from textovsr.tools.comfy_server import ComfyServer

PROMPT = {
    "1": {"class_type": "OVSR_DiffusionWeights", "inputs": {"system": "DiffVSR"}},
    "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
}


def test_the_report_follows_the_disk(server: ComfyServer, client: ComfyClient) -> None:
    """Files in three of the host's folders, under names of their own, while the server runs."""
    first = client.run(PROMPT)
    assert first.status == "success"
    told = str(first.outputs["2"]["text"][0])
    assert "DiffVSR: 0 of 3 networks are there" in told
    assert "Licence of DiffVSR_UNet.pt, TE-3DVAE.pt: none stated." in told
    places = ("diffusion_models/some.safetensors", "vae/below/mine.safetensors", "checkpoints/sd21.safetensors")
    files = [server.base / "models" / place for place in places]
    try:
        for needed, file in zip(DIFFVSR.needs, files, strict=True):
            write_needed(needed, file)
        told = str(client.run(PROMPT).outputs["2"]["text"][0])
    finally:
        for file in files:
            file.unlink(missing_ok=True)
    assert "all 3 networks are there" in told
    assert all(str(file) in told for file in files)
    assert "Licence" not in told


def test_what_is_missing_but_for_what_ships_is_told(server: ComfyServer, client: ComfyClient) -> None:
    """MGLD-VSR without RAFT; its files, in our own folder, are not among the weights of TextOVSR Upscale."""
    folder = server.base / "models" / "textovsr"
    files = [write_needed(needed, (folder / needed.file).with_suffix(".safetensors")) for needed in MGLD.needs[:-1]]
    mine = write_header(folder / "mine.safetensors", {"some": (1,)})
    prompt = {**PROMPT, "1": {"class_type": "OVSR_DiffusionWeights", "inputs": {"system": "MGLD-VSR"}}}
    try:
        told = str(client.run(prompt).outputs["2"]["text"][0])
        offered = client.object_info("OVSR_TextOVSRUpscale")["OVSR_TextOVSRUpscale"]["input"]
    finally:
        for file in (*files, mine):
            file.unlink()
    assert "3 of 4 networks are there; SPyNet, which ships, is taken for the flow" in told
    assert mine.name in str(offered)
    assert not any(file.stem in str(offered) for file in files)


def test_consent_comes_with_licence_and_size(client: ComfyClient) -> None:
    known = client.object_info("OVSR_DiffusionWeights")
    inputs = known.get("OVSR_DiffusionWeights", known)["input"]
    said = inputs["optional"]["download"][1]["tooltip"]
    assert "MGLD-VSR: 7.5 GB, licence: none stated; StableSR's S-Lab License 1.0 (non-commercial)." in said
    assert "DiffVSR: at least 1.4 GB and files of unknown size, licence: none stated and CreativeML" in said
    assert "STAR (light): 9.7 GB, licence: MIT and" in said
    assert "STAR-CogVideoX: at least 10.7 GB and files of unknown size, licence: CogVideoX License and Apache" in said
    offered = str(inputs["required"]["system"])
    titles = ("MGLD-VSR", "DiffVSR", "STAR (heavy)", "STAR (light)", "STAR-CogVideoX", "SDATC")
    assert all(repr(title) in offered for title in titles)


def test_nothing_is_downloaded_without_consent(
    nodes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes["OVSR_DiffusionWeights"]
    module: Any = sys.modules[node.__module__]
    asked: list[tuple[str, Path]] = []

    def get_files(system: Any, folders: list[Path], target: Path, watch: Any) -> list[Any]:
        asked.append((system.name, target))
        assert watch(system.needs[0]) == system.needs[0].file
        return []

    monkeypatch.setattr(module, "get_files", get_files)
    monkeypatch.setattr(module, "diffusion_folders", lambda: [tmp_path / "textovsr", tmp_path])
    monkeypatch.setattr(module, "download_reporter", lambda node, name: name)
    monkeypatch.setattr(module, "show_text", lambda node, text: None)
    assert "of 4 networks are there" in node.execute("MGLD-VSR").result[0]
    assert asked == []
    node.execute("MGLD-VSR", download=True)
    assert asked == [("mgld", tmp_path / "textovsr")]


def test_a_changed_folder_is_looked_into_again(
    nodes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = nodes["OVSR_DiffusionWeights"]
    monkeypatch.setattr(sys.modules[node.__module__], "diffusion_folders", lambda: [tmp_path])
    before = node.fingerprint_inputs("DiffVSR")
    assert node.fingerprint_inputs("DiffVSR") == before
    assert node.fingerprint_inputs("DiffVSR", True) != before
    write_needed(DIFFVSR.needs[0], tmp_path / "some.safetensors")
    assert node.fingerprint_inputs("DiffVSR") != before


def test_downloads_go_to_our_own_folder(pack: Any, nodes: dict[str, Any]) -> None:
    module: Any = sys.modules[nodes["OVSR_DiffusionWeights"].__module__]
    folders = module.diffusion_folders()
    assert folders[0].name == "textovsr"
    assert {"diffusion_models", "checkpoints", "vae", "text_encoders", "optical_flow"} <= {f.name for f in folders}
