"""From what a user chose to the configuration of each diffusion system."""

from dataclasses import replace
from typing import Any

from ..config import SCALE
from ..diffusion.config import GuidanceConfig
from ..errors import SettingError
from .diffvsr.config import DiffVsrConfig
from .mgld.config import MgldConfig
from .options import with_options
from .sdatc.config import FlowGuidance, SdatcConfig
from .settings import DiffusionSettings
from .star.config import StarConfig
from .star_cog.config import StarCogConfig


def mgld_config(settings: DiffusionSettings) -> MgldConfig:
    """How MGLD-VSR is run."""
    base = MgldConfig.published() if settings.published else MgldConfig()
    led = _led(settings, base, GuidanceConfig)
    return with_options(
        replace(base, **_common(settings, base), **led, least_side=settings.least_side), settings.options
    )


def diffvsr_config(settings: DiffusionSettings) -> DiffVsrConfig:
    """How DiffVSR is run; its tiles are counted in pixels of the input.

    Raises:
        SettingError: a tile that is no multiple of the scale.
    """
    base = DiffVsrConfig.published() if settings.published else DiffVsrConfig()
    if settings.tile % SCALE:
        raise SettingError(f"Expected a tile of a multiple of 64 pixels, or 0 for automatic, got {settings.tile}.")
    own: dict[str, Any] = {"guidance_scale": settings.cfg or base.guidance_scale, "noise_level": settings.noise_level}
    common = _common(replace(settings, tile=settings.tile // SCALE), base)
    return with_options(replace(base, **common, **own), settings.options)


def star_config(settings: DiffusionSettings) -> StarConfig:
    """How STAR is run."""
    base = StarConfig.published() if settings.published else StarConfig()
    own: dict[str, Any] = {"guidance_scale": settings.cfg or base.guidance_scale, "mode": settings.mode}
    return with_options(replace(base, **_common(settings, base), **own), settings.options)


def star_cog_config(settings: DiffusionSettings) -> StarCogConfig:
    """How STAR's CogVideoX version is run."""
    base = StarCogConfig.published() if settings.published else StarCogConfig()
    scale = settings.cfg or base.guidance_scale
    return with_options(replace(base, **_common(settings, base), guidance_scale=scale), settings.options)


def sdatc_config(settings: DiffusionSettings) -> SdatcConfig:
    """How SDATC is run."""
    base = SdatcConfig.published() if settings.published else SdatcConfig()
    return with_options(
        replace(base, **_common(settings, base), **_led(settings, base, FlowGuidance)), settings.options
    )


def _common(settings: DiffusionSettings, base: Any) -> dict[str, Any]:
    """What every system has."""
    return {
        "steps": settings.steps or base.steps,
        "seed": settings.seed,
        "overlap": base.overlap if settings.overlap < 0 else settings.overlap,
        "tile": settings.tile or base.tile,
    }


def _led(settings: DiffusionSettings, base: Any, guided: Any) -> dict[str, Any]:
    """What the systems have that follow the motion, and whose decoder is led by the input's features."""
    guidance = base.guidance
    if settings.motion_guidance >= 0 and not settings.published:
        guidance = guided(scale=settings.motion_guidance) if settings.motion_guidance else None
    return {"guidance": guidance, "fidelity": base.fidelity if settings.fidelity < 0 else settings.fidelity}
