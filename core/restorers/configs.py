"""From what a user chose to the configuration of each diffusion system."""

from dataclasses import replace

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
    guidance = base.guidance
    if settings.motion_guidance >= 0 and not settings.published:
        guidance = GuidanceConfig(scale=settings.motion_guidance) if settings.motion_guidance else None
    config = replace(
        base,
        steps=settings.steps or base.steps,
        seed=settings.seed,
        fidelity=_own(settings.fidelity, base.fidelity),
        guidance=guidance,
        least_side=settings.least_side,
        overlap=int(_own(settings.overlap, base.overlap)),
        tile=settings.tile or base.tile,
    )
    return with_options(config, settings.options)


def diffvsr_config(settings: DiffusionSettings) -> DiffVsrConfig:
    """How DiffVSR is run; its tiles are counted in pixels of the input.

    Raises:
        SettingError: a tile that is no multiple of the scale.
    """
    base = DiffVsrConfig.published() if settings.published else DiffVsrConfig()
    if settings.tile % SCALE:
        raise SettingError(f"Expected a tile of a multiple of 64 pixels, or 0 for automatic, got {settings.tile}.")
    config = replace(
        base,
        steps=settings.steps or base.steps,
        seed=settings.seed,
        guidance_scale=settings.cfg or base.guidance_scale,
        noise_level=settings.noise_level,
        overlap=int(_own(settings.overlap, base.overlap)),
        tile=settings.tile // SCALE or base.tile,
    )
    return with_options(config, settings.options)


def star_config(settings: DiffusionSettings) -> StarConfig:
    """How STAR is run."""
    base = StarConfig.published() if settings.published else StarConfig()
    config = replace(
        base,
        mode=settings.mode,
        steps=settings.steps or base.steps,
        seed=settings.seed,
        guidance_scale=settings.cfg or base.guidance_scale,
        overlap=int(_own(settings.overlap, base.overlap)),
        tile=settings.tile or base.tile,
    )
    return with_options(config, settings.options)


def star_cog_config(settings: DiffusionSettings) -> StarCogConfig:
    """How STAR's CogVideoX version is run."""
    base = StarCogConfig.published() if settings.published else StarCogConfig()
    config = replace(
        base,
        steps=settings.steps or base.steps,
        seed=settings.seed,
        guidance_scale=settings.cfg or base.guidance_scale,
        overlap=int(_own(settings.overlap, base.overlap)),
        tile=settings.tile or base.tile,
    )
    return with_options(config, settings.options)


def sdatc_config(settings: DiffusionSettings) -> SdatcConfig:
    """How SDATC is run."""
    base = SdatcConfig.published() if settings.published else SdatcConfig()
    guidance = base.guidance
    if settings.motion_guidance >= 0 and not settings.published:
        guidance = FlowGuidance(scale=settings.motion_guidance) if settings.motion_guidance else None
    config = replace(
        base,
        steps=settings.steps or base.steps,
        seed=settings.seed,
        fidelity=_own(settings.fidelity, base.fidelity),
        guidance=guidance,
        overlap=int(_own(settings.overlap, base.overlap)),
        tile=settings.tile or base.tile,
    )
    return with_options(config, settings.options)


def _own(chosen: float, own: float) -> float:
    """What was chosen, or the system's own where that is negative."""
    return own if chosen < 0 else chosen
