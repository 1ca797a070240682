"""STAR's and SDATC's files: told from all others, light from heavy; a tokenizer; networks that nobody publishes."""

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from textovsr.core.errors import SettingError, WeightsNotFoundError
from textovsr.core.weights import find_files, find_system, holds, require_files, to_download
from textovsr.core.weights_report import as_values, before_download, in_a_line, in_words, terms
from textovsr.models.published import SDATC, STAR, STAR_COGVIDEOX, SYSTEMS, System, choices
from textovsr.models.sdatc.checkpoint import STAGE_FILES, STAGE_KEYS
from textovsr.tests.helpers.published import TEXT, network, write_header, write_needed
from textovsr.tests.helpers.rule import GOLDEN

HEAVY, LIGHT = choices(STAR)
PUBLISHED = "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"


@pytest.fixture(autouse=True)
def hub(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Hugging Face in place of the user's."""
    folder = tmp_path_factory.mktemp("hub")
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    return folder


def paths(system: System, *folders: Path) -> dict[str, Path | None]:
    return {one.needed.name: one.path for one in find_files(system, folders)}


def known(shapes: Mapping[str, tuple[int, ...]]) -> set[str]:
    """What the listing takes a file of these keys for."""
    return {f"{one.name} {needed.name}" for one in SYSTEMS for needed in one.needs if holds(needed, shapes)}


@pytest.mark.parametrize(
    ("manifest", "name"),
    [
        ("star_i2vgen_manifest.json", "star denoiser"),
        ("star_cog_small_sat_manifest.json", "star-cogvideox denoiser"),
        ("diffvsr_unet_manifest.json", "diffvsr denoiser"),
        ("diffvsr_vae_manifest.json", "diffvsr vae"),
    ],
)
def test_published_keys_are_known_for_what_they_are(manifest: str, name: str) -> None:
    shapes = {key: tuple(shape) for key, shape in json.loads((GOLDEN / manifest).read_text("utf-8")).items()}
    assert known(shapes) == {name}
    assert known({f"model.diffusion_model.{key}": shape for key, shape in shapes.items()}) == {name}


def svd_vae() -> Any:
    from diffusers import AutoencoderKLTemporalDecoder

    return AutoencoderKLTemporalDecoder(block_out_channels=(128, 256, 512, 512), layers_per_block=2)


def cogvideox_vae() -> Any:
    from diffusers import AutoencoderKLCogVideoX

    return AutoencoderKLCogVideoX(layers_per_block=1, latent_channels=16)


def sd21_unet() -> Any:
    from diffusers import UNet2DConditionModel

    heads = (5, 10, 20, 20)
    return UNet2DConditionModel(cross_attention_dim=1024, attention_head_dim=heads, use_linear_projection=True)


def sd15_unet() -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(cross_attention_dim=768)


def svd_unet() -> Any:
    from diffusers import UNetSpatioTemporalConditionModel

    return UNetSpatioTemporalConditionModel()


def sd_vae() -> Any:
    from diffusers import AutoencoderKL

    down, up = ("DownEncoderBlock2D",) * 4, ("UpDecoderBlock2D",) * 4
    widths = (128, 256, 512, 512)
    return AutoencoderKL(down_block_types=down, up_block_types=up, block_out_channels=widths, layers_per_block=2)


def t5(vocabulary: int = 32128, width: int = 4096) -> Any:
    from transformers import T5Config, T5EncoderModel

    sizes = {"vocab_size": vocabulary, "d_model": width, "d_ff": 32, "num_layers": 2}
    return T5EncoderModel(T5Config(**sizes, feed_forward_proj="gated-gelu"))


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (svd_vae, {"star vae"}),
        (cogvideox_vae, {"star-cogvideox vae"}),
        (sd21_unet, {"sdatc unet"}),
        (sd15_unet, set()),
        (svd_unet, set()),
        (sd_vae, {"sdatc vae"}),
        (t5, {"star-cogvideox text_encoder"}),
        (lambda: t5(width=64), set()),
        (lambda: t5(vocabulary=256384), set()),
    ],
)
def test_the_libraries_keys_are_known_for_what_they_are(make: Callable[[], Any], names: set[str]) -> None:
    """Networks as diffusers and transformers name them, without memory; of the size that matters."""
    with torch.device("meta"):
        net = make()
    assert known({key: tuple(value.shape) for key, value in net.state_dict().items()}) == names


def test_light_is_told_from_heavy_by_its_name(tmp_path: Path) -> None:
    """The keys are the same. What has neither name counts as heavy; no light file ever does."""
    keys = network("star", "denoiser")
    light = write_needed(keys, tmp_path / "light_deg.safetensors")
    assert paths(HEAVY, tmp_path)["denoiser"] is None
    assert paths(LIGHT, tmp_path)["denoiser"] == light
    light.rename(tmp_path / "some.safetensors")
    assert paths(HEAVY, tmp_path)["denoiser"] == tmp_path / "some.safetensors"
    assert paths(LIGHT, tmp_path)["denoiser"] is None
    heavy = write_needed(keys, tmp_path / "lightning" / "heavy_deg.safetensors")
    light = write_needed(keys, tmp_path / "STAR-light" / "model.safetensors")
    assert paths(HEAVY, tmp_path)["denoiser"] == heavy
    assert paths(LIGHT, tmp_path)["denoiser"] == light
    for system, name in ((HEAVY, "heavy"), (LIGHT, "light")):
        torch.save({"state_dict": dict.fromkeys(keys.keys, torch.ones(1))}, tmp_path / f"{name}_deg.pt")
        for file in tmp_path.rglob("*.safetensors"):
            file.unlink()
        assert paths(system, tmp_path)["denoiser"] == tmp_path / f"{name}_deg.pt"


def test_a_variant_is_chosen_by_the_name_or_the_title() -> None:
    assert (find_system("star"), find_system("STAR")) == (HEAVY, HEAVY)
    assert (find_system("star", "light"), find_system("STAR (light)")) == (LIGHT, LIGHT)
    assert [needed.file for needed in LIGHT.needs if needed.variant] == ["light_deg.pt"]
    assert choices(LIGHT) == (LIGHT,)
    with pytest.raises(SettingError, match="Expected a variant of STAR, heavy or light, got 'dark'"):
        find_system("star", "dark")
    with pytest.raises(SettingError, match="Expected a variant of MGLD-VSR, none, got 'light'"):
        find_system("mgld", "light")


def test_what_is_missing_is_said_of_the_variant(tmp_path: Path) -> None:
    found = find_files(LIGHT, [tmp_path])
    words = before_download(LIGHT, found, tmp_path)
    assert words.startswith(f"3 files, 9.7 GB, would be downloaded to {tmp_path}.")
    assert "These are its light weights; there are heavy ones too." in words
    assert "heavy_deg" not in words
    assert "Licence of light_deg.pt: MIT." in words
    assert terms(LIGHT).startswith("STAR (light): 9.7 GB, licence: MIT and Stable Video Diffusion Community and ")
    values = as_values(LIGHT, found)
    assert (values["variant"], values["variants"]) == ("light", ["heavy", "light"])
    with pytest.raises(WeightsNotFoundError, match=r"STAR \(light\), light_deg.*get star --variant light`"):
        require_files(LIGHT, [tmp_path])


def tokenizer(path: Path, pieces: int, kind: str = "Unigram") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"model": {"type": kind, "vocab": [["a", 0.0]] * pieces}}), "utf-8")
    return path


def test_a_tokenizer_counts_by_what_it_knows(tmp_path: Path) -> None:
    """T5's by kind and size; a download by its name, where anything else is told."""
    for folder, pieces, kind in (("a", 250_000, "Unigram"), ("b", 32100, "BPE")):
        tokenizer(tmp_path / folder / "tokenizer.json", pieces, kind)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "tokenizer.json").write_text("[]", "utf-8")
    assert paths(STAR_COGVIDEOX, tmp_path)["tokenizer"] is None
    right = tokenizer(tmp_path / "d" / "tokenizer.json", 32100)
    assert paths(STAR_COGVIDEOX, tmp_path)["tokenizer"] == right
    (tmp_path / "t5_tokenizer.json").write_text("[]", "utf-8")
    right.unlink()
    note = next(one.note for one in find_files(STAR_COGVIDEOX, [tmp_path]) if one.needed.name == "tokenizer")
    assert "Expected a tokenizer in" in note
    tiny = tokenizer(tmp_path / "t5_tokenizer.json", 100)
    assert paths(STAR_COGVIDEOX, tmp_path)["tokenizer"] == tiny


def sentencepiece(path: Path, pieces: int) -> Path:
    """A vocabulary as SentencePiece writes it: field 1 for each piece, in it its text and its score."""
    texts = ["<pad>", "</s>", "<unk>", *(f"{i}" for i in range(pieces - 3))]
    inner = [b"\n" + bytes([len(text)]) + text.encode() + b"\x15" + struct.pack("<f", -1) for text in texts]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(b"\n" + bytes([len(piece)]) + piece for piece in inner))
    return path


def test_a_sentencepiece_file_is_a_tokenizer_too(tmp_path: Path, hub: Path) -> None:
    sentencepiece(tmp_path / "mt5" / "spiece.model", 40000)
    (tmp_path / "xlnet").mkdir()
    (tmp_path / "xlnet" / "spiece.model").write_bytes(b"no such file")
    assert paths(STAR_COGVIDEOX, tmp_path)["tokenizer"] is None
    snapshot = hub / "models--THUDM--CogVideoX-5b" / "snapshots" / "8fc5b28"
    right = sentencepiece(snapshot / "tokenizer" / "spiece.model", 32000)
    assert paths(STAR_COGVIDEOX, tmp_path)["tokenizer"] == right


def test_half_a_text_encoder_or_a_scaled_one_is_none(tmp_path: Path) -> None:
    keys = dict.fromkeys(network("star-cogvideox", "text_encoder").keys, (32128, 4096))
    write_header(tmp_path / "model-00001-of-00002.safetensors", keys)
    write_header(tmp_path / "t5xxl_fp8_scaled.safetensors", {**keys, "scaled_fp8": (2,)})
    assert paths(STAR_COGVIDEOX, tmp_path)["text_encoder"] is None
    whole = write_header(tmp_path / "t5.safetensors", keys)
    assert paths(STAR_COGVIDEOX, tmp_path)["text_encoder"] == whole


def test_our_conversion_of_the_cogvideox_version_counts(tmp_path: Path) -> None:
    keys = ("patch_embed.proj.weight", "transformer_blocks.0.spa_local.conv1.weight")
    file = write_header(tmp_path / "star.safetensors", dict.fromkeys(keys, (1,)))
    write_header(tmp_path / "cogvideox.safetensors", {keys[0]: (1,)})
    assert paths(STAR_COGVIDEOX, tmp_path)["denoiser"] == file


def test_the_cache_s_files_of_the_cogvideox_version_count(hub: Path) -> None:
    vae = write_needed(
        network("star-cogvideox", "vae"),
        hub / "models--THUDM--CogVideoX-5b" / "snapshots" / "8fc5b28" / "vae" / "diffusion_pytorch_model.safetensors",
    )
    state = hub / "models--SherryX--STAR" / "snapshots" / "fa65054" / "CogVideoX-5B-based" / "1"
    state.mkdir(parents=True)
    keys = network("star-cogvideox", "denoiser").keys
    module = {f"model.diffusion_model.{key}": torch.ones(1) for key in keys}
    torch.save({"module": module, "iteration": 1}, state / "mp_rank_00_model_states.pt")
    found = paths(STAR_COGVIDEOX)
    assert (found["vae"], found["denoiser"]) == (vae, state / "mp_rank_00_model_states.pt")


def single_file(path: Path, **more: tuple[int, ...]) -> Path:
    """Stable Diffusion 2.1 base in one file."""
    vae = {f"first_stage_model.{key}": (1,) for key in network("sdatc", "vae").keys}
    return write_header(path, {**vae, **TEXT, f"model.diffusion_model.{PUBLISHED}": (320, 1024), **more})


def test_one_file_of_stable_diffusion_holds_three_networks(tmp_path: Path) -> None:
    """Its relatives have the same keys; their names say so."""
    for name in ("v2-1_768-ema-pruned", "512-inpainting-ema", "sd_turbo"):
        single_file(tmp_path / f"{name}.safetensors")
    single_file(tmp_path / "svd.safetensors", **{"input_blocks.1.1.time_stack.0.norm1.weight": (1,)})
    assert paths(SDATC, tmp_path)["unet"] is None
    file = single_file(tmp_path / "base.safetensors")
    write_needed(network("sdatc", "vae"), tmp_path / "sdxl_vae.safetensors")
    found = paths(SDATC, tmp_path)
    assert [found[name] for name in ("unet", "vae", "text_encoder")] == [file] * 3


def test_the_folders_of_stable_diffusion_count_by_their_names(hub: Path, tmp_path: Path) -> None:
    unet, vae = network("sdatc", "unet"), network("sdatc", "vae")
    for repository in ("stabilityai--stable-diffusion-2-1", "sd2-community--stable-diffusion-2-1-base"):
        top = hub / f"models--{repository}" / "snapshots" / "4e768672"
        name = "diffusion_pytorch_model.safetensors"
        last = [
            write_header(top / "unet" / name, dict.fromkeys(unet.layouts[0], (320, 1024))),
            write_header(top / "vae" / name, dict.fromkeys(vae.layouts[0], (1,))),
        ]
        assert (paths(SDATC)["unet"] is None) == ("base" not in repository)
    assert paths(SDATC)["unet"] == last[0]
    assert paths(SDATC)["vae"] in {last[1], *hub.rglob("vae/*")}
    write_header(tmp_path / "vae" / "some.safetensors", dict.fromkeys(vae.layouts[0], (1,)))
    assert paths(SDATC, tmp_path)["vae"] in set(hub.rglob("vae/*"))


def test_a_stage_counts_by_its_keys(tmp_path: Path) -> None:
    """Those that training writes, and the network that ships alone is none."""
    for stage, telling in enumerate(STAGE_KEYS, 1):
        file = write_header(tmp_path / f"{stage}.safetensors", dict.fromkeys(telling, (1,)))
        assert paths(SDATC, tmp_path)[f"stage{stage}"] == file
        assert network("sdatc", f"stage{stage}").file == STAGE_FILES[stage - 1]
        file.unlink()
    write_header(tmp_path / "dcm.safetensors", {"conv_first.weight": (1,)})
    assert paths(SDATC, tmp_path)["stage1"] is None


def test_what_nobody_publishes_is_to_be_trained(tmp_path: Path) -> None:
    found = find_files(SDATC, [tmp_path])
    assert [needed.name for needed in to_download(found, spared=True)] == ["unet", "flow"]
    words = in_words(SDATC, found)
    assert "needs trained weights, which nobody publishes: `textovsr train sdatc` makes sdatc-stage1" in words
    assert in_a_line(SDATC, found) == "SDATC: 0 of 6 networks are there; needs trained weights: textovsr train sdatc"
    assert terms(SDATC).endswith("BSD-3-Clause; needs trained weights besides.")
    assert as_values(SDATC, found)["networks"][0]["training"] == "textovsr train sdatc"
    with pytest.raises(
        WeightsNotFoundError, match=r"train them, `textovsr train sdatc`; run `textovsr weights get sdatc"
    ):
        require_files(SDATC, [tmp_path])
    single_file(tmp_path / "base.safetensors")
    with pytest.raises(WeightsNotFoundError, match=r"`textovsr train sdatc`; or put the files into") as raised:
        require_files(SDATC, [tmp_path])
    assert "weights get" not in str(raised.value)
    stages = {
        name: write_needed(network("sdatc", name), tmp_path / f"{name}.safetensors") for name in ("stage1", "stage2")
    }
    files = require_files(SDATC, [tmp_path])
    assert {name: files[name] for name in stages} == stages
    assert "trained" not in in_a_line(SDATC, find_files(SDATC, [tmp_path]))
