"""The diffusion systems by name: settings to configurations, files to networks, and word of every step."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from textovsr.core.errors import SettingError
from textovsr.core.restoration import Restoration, ShotFrame
from textovsr.core.restorers.diffvsr.config import DiffVsrConfig
from textovsr.core.restorers.mgld.config import MgldConfig
from textovsr.core.restorers.parts import HeldParts
from textovsr.core.restorers.settings import DiffusionSettings
from textovsr.core.restorers.systems import load_parts, make_diffusion_restorer
from textovsr.core.weights import find_system, require_files
from textovsr.tests.helpers.diffusion_files import save_diffvsr, save_mgld
from textovsr.tests.helpers.mgld import moving_clip

NOTHING = HeldParts({}, torch.device("cpu"), torch.float32)


def test_exact_networks_stay_in_full_precision() -> None:
    networks = {name: torch.nn.Linear(2, 2) for name in ("vae", "denoiser")}
    parts = HeldParts(networks, torch.device("cpu"), torch.bfloat16, ("vae",))
    assert [network.weight.dtype for network in parts.use("vae", "denoiser")] == [torch.float32, torch.bfloat16]


def test_the_defaults_are_the_systems_own() -> None:
    settings = DiffusionSettings(seed=42)
    assert make_diffusion_restorer("mgld", NOTHING, settings, 1).config == MgldConfig()
    assert make_diffusion_restorer("diffvsr", NOTHING, DiffusionSettings(seed=10), 1).config == DiffVsrConfig()


def test_published_is_what_was_published() -> None:
    settings = DiffusionSettings(seed=42, published=True)
    assert make_diffusion_restorer("mgld", NOTHING, settings, 1).config == MgldConfig.published()
    settings = DiffusionSettings(seed=10, published=True)
    assert make_diffusion_restorer("diffvsr", NOTHING, settings, 1).config == DiffVsrConfig.published()


def test_settings_go_where_they_apply() -> None:
    settings = DiffusionSettings(
        steps=7, motion_guidance=0.0, fidelity=0.5, overlap=1, tile=256, cfg=2.0, noise_level=9
    )
    mgld = make_diffusion_restorer("mgld", NOTHING, settings, 1).config
    assert isinstance(mgld, MgldConfig)
    assert (mgld.steps, mgld.guidance, mgld.fidelity, mgld.overlap, mgld.tile) == (7, None, 0.5, 1, 256)
    diffvsr = make_diffusion_restorer("diffvsr", NOTHING, settings, 1).config
    assert isinstance(diffvsr, DiffVsrConfig)
    found = (diffvsr.steps, diffvsr.guidance_scale, diffvsr.noise_level, diffvsr.overlap, diffvsr.tile)
    assert found == (7, 2.0, 9, 1, 64), "its tiles are counted in pixels of the input"


def test_what_cannot_be_is_named() -> None:
    with pytest.raises(SettingError, match="Expected mgld, diffvsr, star, star-cogvideox or sdatc, got 'none'"):
        make_diffusion_restorer("none", NOTHING, DiffusionSettings(), 1)
    with pytest.raises(SettingError, match="multiple of 64 pixels"):
        make_diffusion_restorer("diffvsr", NOTHING, DiffusionSettings(tile=30), 1)


@pytest.mark.parametrize(("name", "save", "windows"), [("mgld", save_mgld, 2), ("diffvsr", save_diffvsr, 1)])
def test_every_step_of_every_window_is_told(
    name: str, save: Callable[[Path], None], windows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six frames are two windows of five, or one of eight whose last two need no window of their own."""
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
    assert told == [(1, 2), (2, 2)] * windows
