"""What diffusion systems need: found by its content under any name; missing or damaged with a word on it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from textovsr.core.errors import DamagedWeightsError, SettingError, WeightsNotFoundError
from textovsr.core.weights import find_files, find_system, holds, require_files, to_download
from textovsr.core.weights_report import as_values, before_download, in_words, is_complete
from textovsr.core.weights_shapes import read_shapes
from textovsr.models.published import DIFFVSR, FLOW, MGLD, SYSTEMS, TEXT_ENCODER
from textovsr.tests.helpers.published import TEXT, network, write_header, write_needed
from textovsr.tests.helpers.rule import GOLDEN


@pytest.fixture(autouse=True)
def hub(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Hugging Face in place of the user's."""
    folder = tmp_path_factory.mktemp("hub")
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    return folder


def whole(tmp_path: Path, names: dict[str, str], system: str = "diffvsr") -> dict[str, Path]:
    return {name: write_needed(network(system, name), tmp_path / file) for name, file in names.items()}


def paths(system: Any, *folders: Path) -> dict[str, Path | None]:
    return {one.needed.name: one.path for one in find_files(system, folders)}


@pytest.mark.parametrize(
    ("manifest", "name"), [("mgld_unet_manifest.json", "denoiser"), ("mgld_video_vae_manifest.json", "vae")]
)
def test_the_published_keys_are_known_for_what_they_are(manifest: str, name: str) -> None:
    """Full-size manifests; each holds its own network, the denoiser's file RAFT too, for two systems; no other."""
    shapes = {key: tuple(shape) for key, shape in json.loads((GOLDEN / manifest).read_text("utf-8")).items()}
    known = [needed for system in SYSTEMS for needed in system.needs if holds(needed, shapes)]
    flows = [FLOW, network("sdatc", "flow")] if name == "denoiser" else []
    assert known == [network("mgld", name), *flows]


def test_a_file_counts_by_what_it_holds(tmp_path: Path) -> None:
    files = whole(tmp_path, {"denoiser": "a/b/some.safetensors", "vae": "other.safetensors"})
    text = write_header(tmp_path / "checkpoints" / "sd21.safetensors", TEXT)
    write_header(tmp_path / "clip_l.safetensors", {"text_model.embeddings.token_embedding.weight": (49408, 768)})
    assert paths(DIFFVSR, tmp_path) == {**files, "text_encoder": text}
    assert require_files(DIFFVSR, [tmp_path]) == {**files, "text_encoder": text}
    assert is_complete(find_files(DIFFVSR, [tmp_path]))


def test_pickled_files_with_likely_names_are_looked_into(tmp_path: Path) -> None:
    state = {f"net.{key}": torch.ones(1) for key in network("diffvsr", "denoiser").keys}
    for name in ("unlikely.pt", "DiffVSR_UNet.pt"):
        torch.save({"ema": state}, tmp_path / name)
    torch.save({"state_dict": {"other": torch.ones(1)}}, tmp_path / "TE-3DVAE.pt")
    assert paths(DIFFVSR, tmp_path) == {"denoiser": tmp_path / "DiffVSR_UNet.pt", "vae": None, "text_encoder": None}


def test_the_best_of_several_files_is_taken(tmp_path: Path) -> None:
    """Published names first, then safetensors, then the smaller."""
    denoiser = network("diffvsr", "denoiser")
    small = write_needed(denoiser, tmp_path / "b.safetensors")
    write_header(tmp_path / "a.safetensors", {**dict.fromkeys(denoiser.keys, (1,)), "more": (500,)})
    torch.save({key: torch.ones(1) for key in denoiser.keys}, tmp_path / "diffvsr.pt")
    assert paths(DIFFVSR, tmp_path)["denoiser"] == small
    torch.save({key: torch.ones(1) for key in denoiser.keys}, tmp_path / "DiffVSR_UNet.pt")
    assert paths(DIFFVSR, tmp_path)["denoiser"] == tmp_path / "DiffVSR_UNet.pt"
    converted = write_needed(denoiser, tmp_path / "DiffVSR_UNet.safetensors")
    assert paths(DIFFVSR, tmp_path)["denoiser"] == converted


def test_one_file_may_hold_several_networks(tmp_path: Path) -> None:
    """MGLD-VSR's; another text encoder that is there does not take the place of its own."""
    keys = {key: (1,) for name in ("denoiser", "flow") for key in network("mgld", name).keys}
    file = write_header(tmp_path / "mgldvsr_unet.safetensors", {**keys, **TEXT})
    vae = write_needed(network("mgld", "vae"), tmp_path / "vae.safetensors")
    write_header(tmp_path / "a_small_text_encoder.safetensors", TEXT)
    assert paths(MGLD, tmp_path) == {"denoiser": file, "vae": vae, "text_encoder": file, "flow": file}


def test_the_hub_s_cache_and_the_published_name_count(tmp_path: Path, hub: Path) -> None:
    snapshot = hub / "models--stabilityai--stable-diffusion-x4-upscaler" / "snapshots" / "a44206c" / "text_encoder"
    there = write_header(snapshot / "model.safetensors", TEXT)
    assert paths(DIFFVSR)["text_encoder"] == there
    tiny = write_header(tmp_path / TEXT_ENCODER.file, {"token_embedding.weight": (49408, 48)})
    assert paths(DIFFVSR, tmp_path)["text_encoder"] == tiny


def test_what_is_missing_is_named_with_the_ways_to_it(tmp_path: Path) -> None:
    found = find_files(MGLD, [tmp_path])
    assert to_download(found) == [network("mgld", "denoiser"), network("mgld", "vae")]
    words = in_words(MGLD, found)
    assert "0 of 4 networks are there" in words
    assert "missing; mgldvsr_unet.ckpt, about 6.7 GB, SHA-256 unknown." in words
    assert "text_encoder (reads captions: OpenCLIP ViT-H-14): missing; comes with the file of the denoiser." in words
    assert "S-Lab License 1.0: non-commercial use only" in words
    assert words.count("with a browser") == 4
    assert before_download(MGLD, found, tmp_path).startswith(f"2 files, 7.5 GB, would be downloaded to {tmp_path}.")
    other = before_download(DIFFVSR, find_files(DIFFVSR, []), tmp_path)
    assert other.startswith(f"3 files, at least 1.4 GB and files of unknown size, would be downloaded to {tmp_path}.")
    with pytest.raises(WeightsNotFoundError, match=r"(?s)mgldvsr_unet\.ckpt \(denoiser\) and .* missing; .*get mgld"):
        require_files(MGLD, [tmp_path])


def test_a_network_that_its_file_lacks_is_downloaded(tmp_path: Path) -> None:
    write_needed(network("mgld", "denoiser"), tmp_path / "cut_down.safetensors")
    wanted = to_download(find_files(MGLD, [tmp_path]))
    assert [needed.name for needed in wanted] == ["vae", "text_encoder"]
    words = in_words(MGLD, find_files(MGLD, [tmp_path]))
    assert (
        "text_encoder (reads captions: OpenCLIP ViT-H-14): missing; open_clip_h_text.safetensors, about 1.4 GB" in words
    )


def test_what_ships_stands_in_for_the_flow(tmp_path: Path) -> None:
    """It is said, and nothing is downloaded for it unless asked; its file's terms are told."""
    nothing = find_files(MGLD, [tmp_path])
    said = "- flow (finds motion: RAFT): missing; SPyNet, which ships, is taken; "
    assert f"{said}comes with the file of the denoiser." in in_words(MGLD, nothing)
    assert in_words(MGLD, nothing).splitlines()[0] == "**MGLD-VSR: 0 of 4 networks are there**"
    for name in ("denoiser", "vae", "text_encoder"):
        write_needed(network("mgld", name), tmp_path / f"{name}.safetensors")
    found = find_files(MGLD, [tmp_path])
    assert is_complete(found)
    assert not is_complete(nothing)
    assert set(require_files(MGLD, [tmp_path])) == {"denoiser", "vae", "text_encoder"}
    assert (to_download(found), to_download(found, spared=True)) == ([], [FLOW])
    words = in_words(MGLD, found)
    assert words.startswith("**MGLD-VSR: 3 of 4 networks are there; SPyNet, which ships, is taken for the flow**")
    assert f"{said}raft-things.pth, about 21.1 MB, SHA-256 unknown.\n  - https://" in words
    assert "Licence of raft-things.pth: BSD-3-Clause." in words
    told = before_download(MGLD, found, tmp_path, spared=True)
    assert told.startswith(f"1 file, 21.1 MB, would be downloaded to {tmp_path}.")
    values = as_values(MGLD, found)
    assert values["complete"]
    flow = values["networks"][-1]
    assert (flow["spare"], flow["download"], flow["path"]) == ("SPyNet, which ships", False, None)
    assert [one["spare"] for one in values["networks"][:-1]] == [None] * 3


def test_a_damaged_file_and_half_a_download_are_told(tmp_path: Path) -> None:
    file = write_needed(network("diffvsr", "denoiser"), tmp_path / "DiffVSR_UNet.safetensors")
    file.write_bytes(file.read_bytes()[:-1])
    (tmp_path / "TE-3DVAE.pt.part").write_bytes(bytes(5000))
    notes = {one.needed.name: one.note for one in find_files(DIFFVSR, [tmp_path])}
    assert "it is cut short" in notes["denoiser"]
    assert notes["vae"] == "5.0 kB are downloaded"
    with pytest.raises(DamagedWeightsError, match="cut short"):
        read_shapes(file)
    for content in (b"", b"\xff" * 9, b"\x02" + bytes(7) + b"[]", b"\x09" + bytes(7) + b'{"a": {}}'):
        file.write_bytes(content)
        with pytest.raises(DamagedWeightsError, match="whose header is damaged"):
            read_shapes(file)


def test_the_values_say_what_is_unknown(tmp_path: Path) -> None:
    write_header(tmp_path / "text.safetensors", TEXT)
    values = as_values(DIFFVSR, find_files(DIFFVSR, [tmp_path]))
    denoiser, vae, text = values["networks"]
    assert (values["system"], values["complete"]) == ("diffvsr", False)
    assert (denoiser["download"], vae["download"], text["download"]) == (True, True, False)
    assert denoiser["places"][0]["sha256"] is denoiser["places"][0]["about_bytes"] is None
    assert (denoiser["licence"], text["licence"]) == ("none stated", "CreativeML Open RAIL++-M")
    assert text["path"] == str(tmp_path / "text.safetensors")


def test_every_entry_says_where_and_under_which_terms() -> None:
    for system in SYSTEMS:
        assert find_system(system.name).name == find_system(system.title).name == system.name
        for needed in system.needs:
            assert needed.keys
            assert needed.licence.text.endswith(".")
            assert bool(needed.places) != bool(needed.training)
            assert all(place.page.startswith("https://") for place in needed.places)
            assert needed.inside in ("", *(other.name for other in system.needs))
    with pytest.raises(SettingError, match="Expected mgld, diffvsr, star, star-cogvideox or sdatc, got 'none'"):
        find_system("none")
