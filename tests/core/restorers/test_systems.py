"""The diffusion systems by name: settings to configurations, files to networks, and word of every step."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from textovsr.core.errors import SettingError
from textovsr.core.restoration import Restoration, ShotFrame
from textovsr.core.restorers.diffvsr.config import DiffVsrConfig
from textovsr.core.restorers.mgld.config import MgldConfig
from textovsr.core.restorers.parts import HeldParts
from textovsr.core.restorers.sdatc.config import FlowGuidance, SdatcConfig
from textovsr.core.restorers.settings import DiffusionSettings
from textovsr.core.restorers.star.config import StarConfig
from textovsr.core.restorers.star_cog.config import StarCogConfig
from textovsr.core.restorers.systems import compute_dtype, load_parts, make_diffusion_restorer
from textovsr.core.weights import find_system, require_files
from textovsr.tests.helpers.diffusion_files import save_diffvsr, save_mgld, save_sdatc, save_star, save_star_cog
from textovsr.tests.helpers.mgld import moving_clip

NOTHING = HeldParts({}, torch.device("cpu"), torch.float32)


def test_exact_networks_stay_in_full_precision() -> None:
    networks = {name: torch.nn.Linear(2, 2) for name in ("vae", "denoiser")}
    parts = HeldParts(networks, torch.device("cpu"), torch.bfloat16, ("vae",))
    assert [network.weight.dtype for network in parts.use("vae", "denoiser")] == [torch.float32, torch.bfloat16]


Config = type[MgldConfig | DiffVsrConfig | StarConfig | StarCogConfig | SdatcConfig]

CONFIGS: dict[str, Config] = {
    "mgld": MgldConfig,
    "diffvsr": DiffVsrConfig,
    "star": StarConfig,
    "star-cogvideox": StarCogConfig,
    "sdatc": SdatcConfig,
}


def config_of(system: str, settings: DiffusionSettings) -> Any:
    """What a system makes of settings."""
    return make_diffusion_restorer(system, NOTHING, settings, 1).config  # type: ignore[attr-defined]


@pytest.mark.parametrize("system", CONFIGS)
def test_the_defaults_are_the_systems_own(system: str) -> None:
    own = CONFIGS[system]()
    assert config_of(system, DiffusionSettings(seed=own.seed)) == own
    published = CONFIGS[system].published()
    assert config_of(system, DiffusionSettings(seed=published.seed, published=True)) == published


def test_the_choice_of_its_weights_is_the_same_system() -> None:
    assert config_of("STAR (light)", DiffusionSettings(seed=666)) == StarConfig()


def test_what_networks_compute_in() -> None:
    graphics, processor = torch.device("cuda"), torch.device("cpu")
    assert compute_dtype("star", graphics) == torch.float16
    assert compute_dtype("star", processor) == torch.float32
    assert compute_dtype("star-cogvideox", graphics) == torch.bfloat16
    assert compute_dtype("star-cogvideox", processor) == torch.float32, "many processors cannot do less"


def test_settings_go_where_they_apply() -> None:
    settings = DiffusionSettings(
        steps=7, motion_guidance=0.0, fidelity=0.5, overlap=1, tile=256, cfg=2.0, noise_level=9, mode="normal"
    )
    mgld = config_of("mgld", settings)
    assert (mgld.steps, mgld.guidance, mgld.fidelity, mgld.overlap, mgld.tile) == (7, None, 0.5, 1, 256)
    diffvsr = config_of("diffvsr", settings)
    found = (diffvsr.steps, diffvsr.guidance_scale, diffvsr.noise_level, diffvsr.overlap, diffvsr.tile)
    assert found == (7, 2.0, 9, 1, 64), "its tiles are counted in pixels of the input"
    star = config_of("star", settings)
    assert (star.steps, star.guidance_scale, star.mode, star.overlap, star.tile) == (7, 2.0, "normal", 1, 256)
    cog = config_of("star-cogvideox", replace(settings, overlap=4))
    assert (cog.steps, cog.guidance_scale, cog.overlap, cog.tile) == (7, 2.0, 4, 256)
    sdatc = config_of("sdatc", replace(settings, motion_guidance=0.5))
    assert (sdatc.steps, sdatc.guidance, sdatc.fidelity) == (7, FlowGuidance(scale=0.5), 0.5)
    assert config_of("sdatc", settings).guidance is None


@pytest.mark.parametrize("system", CONFIGS)
def test_any_setting_has_a_name(system: str) -> None:
    config = config_of(system, DiffusionSettings(steps=5, options="curve = paper,\ncontext=3,"))
    assert (config.steps, config.curve, config.context) == (5, "paper", 3)
    if system != "star":
        assert not config_of(system, DiffusionSettings(options="reschedule=no")).reschedule


def test_a_text_among_the_options_may_hold_commas() -> None:
    config = config_of("star", DiffusionSettings(options="suffix=clear, not blurred, context=0\nnegative=a, b"))
    assert (config.suffix, config.context, config.negative) == ("clear, not blurred", 0, "a, b")


def test_what_cannot_be_is_named() -> None:
    with pytest.raises(SettingError, match="Expected mgld, diffvsr, star, star-cogvideox or sdatc, got 'none'"):
        make_diffusion_restorer("none", NOTHING, DiffusionSettings(), 1)
    with pytest.raises(SettingError, match="multiple of 64 pixels"):
        make_diffusion_restorer("diffvsr", NOTHING, DiffusionSettings(tile=30), 1)
    for text in ("curve", "speed=7", "guidance=1"):
        with pytest.raises(SettingError, match=f"got '{text}'; there are captions, color_fix, context, curve"):
            make_diffusion_restorer("mgld", NOTHING, DiffusionSettings(options=text), 1)
    with pytest.raises(SettingError, match="Expected a whole number for context, got 'two'"):
        make_diffusion_restorer("mgld", NOTHING, DiffusionSettings(options="context=two"), 1)
    with pytest.raises(SettingError, match="Expected one of the curves"):
        make_diffusion_restorer("star", NOTHING, DiffusionSettings(options="curve=straight"), 1)


@pytest.mark.parametrize(
    ("name", "save", "windows"),
    [
        ("mgld", save_mgld, 2),
        ("diffvsr", save_diffvsr, 1),
        ("star", save_star, 1),
        ("star-cogvideox", save_star_cog, 1),
        ("sdatc", save_sdatc, 2),
    ],
)
def test_every_step_of_every_window_is_told(
    name: str, save: Callable[[Path], None], windows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six frames are two windows of five, or one of eight or more."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "nothing"))
    save(tmp_path)
    networks = load_parts(name, require_files(find_system(name), [tmp_path]))
    parts = HeldParts(networks, torch.device("cpu"), torch.float32)
    restorer = make_diffusion_restorer(name, parts, DiffusionSettings(steps=2, least_side=64), 1 << 33)
    told: list[tuple[int, int]] = []
    restorer.tell_step = lambda done, total: told.append((done, total))
    frames = [ShotFrame(image) for image in moving_clip(6, 16, 16)]
    with torch.inference_mode():
        list(Restoration(restorer, restorer.plan(16, 16), lambda: None, print).run(frames))
    steps = 1 if name == "star" else 2  # its fast mode makes one evaluation fewer
    assert told == [(step + 1, steps) for step in range(steps)] * windows
