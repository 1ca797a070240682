"""How many parameters SDATC trains at full size, beside what the paper says."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn

from textovsr.core.errors import SettingError
from textovsr.models.sdatc.config import CapmConfig, CfwConfig, ControlConfig, SdatcNetConfig, StamConfig
from textovsr.models.sdatc.dcm import Dcm
from textovsr.models.sdatc.denoiser import SdatcDenoiser
from textovsr.models.sdatc.vae import SdatcVae

PAPER = 135.1
"""Millions of parameters that are trained, and that the whole has."""
PAPER_WHOLE = 1500


@cache
def stable_diffusion() -> tuple[nn.Module, nn.Module]:
    """Version 2.1's UNet and autoencoder, without memory."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(
            cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20), use_linear_projection=True
        )
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
        )
    return unet, vae


def millions(part: nn.Module) -> float:
    return sum(value.numel() for value in part.parameters()) / 1e6


def counted(config: SdatcNetConfig) -> dict[str, float]:
    unet, vae = stable_diffusion()
    with torch.device("meta"):
        denoiser, pictures, dcm = SdatcDenoiser(unet, config), SdatcVae(vae, config), Dcm()
    parts = {
        "DCM": dcm,
        "control": denoiser.control,
        "CAPM of the UNet": denoiser.capm,
        "CAPM of the VAE": pictures.capm,
        "STAM": pictures.stam,
        "CFW": pictures.cfw,
    }
    sizes = {name: millions(part) for name, part in parts.items()}
    trained = [*denoiser.trained().values(), *pictures.trained().values(), *dcm.parameters()]
    assert sum(value.numel() for value in trained) / 1e6 == pytest.approx(sum(sizes.values()))
    return sizes


def test_as_much_is_trained_as_the_paper_says_to_a_percent() -> None:
    sizes = counted(SdatcNetConfig())
    print(", ".join(f"{name} {size:.1f}M" for name, size in sizes.items()), f"together {sum(sizes.values()):.1f}M")
    assert {name: round(size, 1) for name, size in sizes.items()} == {
        "DCM": 11.9,
        "control": 72.1,
        "CAPM of the UNet": 10.0,
        "CAPM of the VAE": 10.4,
        "STAM": 4.3,
        "CFW": 25.4,
    }
    assert sum(sizes.values()) == pytest.approx(PAPER, rel=0.01)


def test_with_the_text_encoder_the_whole_is_about_as_large_as_the_paper_says() -> None:
    whole = sum(counted(SdatcNetConfig()).values()) + sum(millions(part) for part in stable_diffusion())
    text = 340.4  # open_clip's ViT-H-14, 23 of whose 24 layers are used
    assert whole + text == pytest.approx(PAPER_WHOLE, rel=0.06)


def test_a_copy_of_the_encoder_is_more_than_all_that_the_paper_trains() -> None:
    sizes = counted(SdatcNetConfig(control=ControlConfig("copy")))
    assert sizes["control"] == pytest.approx(363, abs=0.5)
    assert sizes["control"] > PAPER


def test_prompts_to_the_letter_of_the_equation_are_too_many() -> None:
    config = SdatcNetConfig()
    sizes = counted(replace(config, unet_capm=replace(config.unet_capm, width=0)))
    assert sizes["CAPM of the UNet"] == pytest.approx(58.0, abs=0.1)
    assert sum(sizes.values()) > 1.3 * PAPER


def test_at_full_size_all_parts_fit_each_other() -> None:
    """Without memory: of a clip of two frames of 64 by 128 pixels."""
    unet, vae = stable_diffusion()
    with torch.device("meta"), torch.inference_mode():
        denoiser, pictures = SdatcDenoiser(unet, SdatcNetConfig()), SdatcVae(vae, SdatcNetConfig())
        frames = Dcm()(torch.empty(2, 3, 16, 32))
        latents, _, features = pictures.encode(frames)
        assert denoiser(latents, 999, torch.empty(2, 77, 1024), latents).shape == (2, 4, 8, 16)
        assert pictures.decode(latents, features, 2, 0.75).shape == frames.shape == (2, 3, 64, 128)


def test_sizes_go_through_text_and_back() -> None:
    config = SdatcNetConfig(ControlConfig("copy", multipliers=(1, 2)), stam=StamConfig("cube"), cfw=CfwConfig((1,)))
    assert SdatcNetConfig.from_dict(config.as_dict()) == config
    assert SdatcNetConfig.from_dict({"stam": {"heads": 4, "attention": [0]}}).stam == StamConfig(
        heads=4, attention=(0,)
    )


@pytest.mark.parametrize("values", [{"stem": {}}, {"stam": {"eyes": 1}}, {"stam": {"heads": 0}}, {"stam": None}])
def test_unknown_sizes_are_refused(values: dict[str, dict[str, int]]) -> None:
    with pytest.raises(SettingError, match="Expected"):
        SdatcNetConfig.from_dict(values)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CapmConfig(prompts=0), "positive sizes"),
        (lambda: CapmConfig(width=10, heads=4), "divisible by the heads"),
        (lambda: ControlConfig("heavy"), "light or copy, got 'heavy'"),  # type: ignore[arg-type]
        (lambda: ControlConfig(multipliers=()), "positive widths"),
        (lambda: StamConfig("plane"), "kernel time or cube"),  # type: ignore[arg-type]
        (lambda: CfwConfig(start="all"), "nothing or random"),  # type: ignore[arg-type]
    ],
)
def test_sizes_out_of_range_are_refused(make: type, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make()
