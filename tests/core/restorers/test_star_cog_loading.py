"""The networks of STAR's CogVideoX version from files as they are published, and what they make together."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from textovsr.core.convert_weights import convert_weights
from textovsr.core.errors import UnknownCheckpointError, WeightsNotFoundError
from textovsr.core.restorers.parts import HeldParts
from textovsr.core.restorers.star_cog.loading import load_star_cog_parts, load_transformer, load_vae
from textovsr.core.restorers.star_cog.restorer import StarCogRestorer
from textovsr.models.star_cog.checkpoint import transformer_keys
from textovsr.tests.helpers.diffvsr_shots import clip as moving
from textovsr.tests.helpers.star_cog import ENOUGH, QUICK, run, sat_weights, small_transformer
from textovsr.tests.helpers.t5 import small_t5_weights, tokenizer_json
from textovsr.tests.helpers.threads import one_thread  # noqa: F401 - a fixture


def vae_weights() -> dict[str, Tensor]:
    from textovsr.models.star_cog.vae import CogVideoXVAE

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = CogVideoXVAE(block_out_channels=(32, 32, 32, 32), layers_per_block=1)
    return {key: value.contiguous() for key, value in network.state_dict().items()}


def files(folder: Path) -> tuple[Path, Path, Path, Path]:
    nested = {"module": {f"model.diffusion_model.{key}": value for key, value in sat_weights().items()}, "step": 3}
    torch.save(nested, folder / "star.pt")
    (folder / "vae").mkdir()
    save_file(vae_weights(), folder / "vae" / "diffusion_pytorch_model.safetensors")
    save_file({key: value.clone() for key, value in small_t5_weights().items()}, folder / "t5.safetensors")
    return folder / "star.pt", folder, folder / "t5.safetensors", tokenizer_json(folder / "tokenizer.json")


def test_the_published_files_are_read_and_make_a_picture(tmp_path: Path) -> None:
    networks = load_star_cog_parts(*files(tmp_path), dtype=torch.float32)
    assert set(networks) == set(StarCogRestorer.part_names)
    assert not any(network.training for network in networks.values())
    assert not any(parameter.requires_grad for network in networks.values() for parameter in network.parameters())
    weights = small_transformer().state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in networks["denoiser"].state_dict().items())
    held = HeldParts(networks, torch.device("cpu"), torch.float32)
    results, _, _ = run(moving(2, 16, 16), StarCogRestorer(held, replace(QUICK, steps=2), ENOUGH))
    assert all(image.shape == (3, 64, 64) and image.isfinite().all() for image in results)


def test_halves_are_kept_and_work(tmp_path: Path) -> None:
    networks = load_star_cog_parts(*files(tmp_path))
    assert {value.dtype for network in networks.values() for value in network.parameters()} == {torch.bfloat16}
    whole = load_star_cog_parts(*[tmp_path / name for name in ("star.pt", ".", "t5.safetensors", "tokenizer.json")],
                                dtype=torch.float32)  # fmt: skip
    pictures = []
    for loaded, dtype in ((networks, torch.bfloat16), (whole, torch.float32)):
        held = HeldParts(loaded, torch.device("cpu"), dtype)
        results, _, _ = run(moving(1, 16, 16), StarCogRestorer(held, QUICK, ENOUGH))
        assert results[0].dtype == torch.float32
        pictures.append(results[0])
    torch.testing.assert_close(pictures[0], pictures[1], rtol=0, atol=0.08)


def test_a_file_in_half_precision_is_not_copied(tmp_path: Path) -> None:
    halves = {key: value.bfloat16() for key, value in transformer_keys(sat_weights()).items()}
    save_file(halves, tmp_path / "ours.safetensors")
    network = load_transformer(tmp_path / "ours.safetensors")
    assert all(torch.equal(value, halves[key]) for key, value in network.state_dict().items())


def test_a_converted_file_is_read_as_well(tmp_path: Path) -> None:
    source, *_ = files(tmp_path)
    done = convert_weights(source, tmp_path / "star.safetensors")
    assert done.dropped == {"step": 1}
    weights = load_transformer(done.path, torch.float32).state_dict()
    assert all(torch.equal(value, weights[key]) for key, value in small_transformer().state_dict().items())


Loader = Callable[[Path], nn.Module]


@pytest.mark.parametrize(("load", "what"), [(load_transformer, "transformer"), (load_vae, "autoencoder")])
def test_what_is_missing_or_left_over_is_named(load: Loader, what: str, tmp_path: Path) -> None:
    weights = transformer_keys(sat_weights()) if what == "transformer" else vae_weights()
    weights = {key: value.clone() for key, value in weights.items()}
    missing = next(
        key for key in weights if key.endswith("norm1.linear.bias" if what == "transformer" else "conv1.conv.bias")
    )
    save_file({key: value for key, value in weights.items() if key != missing}, tmp_path / "cut.safetensors")
    with pytest.raises(UnknownCheckpointError, match=rf"all of the {what}.* in .*cut\.safetensors(?s:.*)Missing key"):
        load(tmp_path / "cut.safetensors")
    save_file({**weights, "more.weight": torch.ones(1)}, tmp_path / "more.safetensors")
    with pytest.raises(UnknownCheckpointError, match=r"Unexpected key(?s:.*)more\.weight"):
        load(tmp_path / "more.safetensors")


def test_other_files_are_refused(tmp_path: Path) -> None:
    save_file({"some.weight": torch.ones(1)}, tmp_path / "other.safetensors")
    with pytest.raises(UnknownCheckpointError, match=r"STAR's CogVideoX version in .*expected the key mixins"):
        load_transformer(tmp_path / "other.safetensors")
    with pytest.raises(UnknownCheckpointError, match=r"CogVideoX's autoencoder in diffusers' names"):
        load_vae(tmp_path / "other.safetensors")
    with pytest.raises(WeightsNotFoundError, match=r"vae/diffusion_pytorch_model\.safetensors in"):
        load_vae(tmp_path)
