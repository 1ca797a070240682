"""From what a user chose to the configuration of each diffusion system."""

from dataclasses import replace

from ..config import SCALE
from ..diffusion.config import GuidanceConfig
from ..errors import SettingError
from .diffvsr.config import DiffVsrConfig
from .mgld.config import MgldConfig
from .settings import DiffusionSettings


def mgld_config(settings: DiffusionSettings) -> MgldConfig:
    """How MGLD-VSR is run."""
    base = MgldConfig.published() if settings.published else MgldConfig()
    guidance = base.guidance
    if not settings.published:
        scale = settings.motion_guidance
        guidance = GuidanceConfig(scale=scale) if scale else None
    return replace(
        base,
        steps=settings.steps or base.steps,
        seed=settings.seed,
        fidelity=settings.fidelity,
        guidance=guidance,
        least_side=settings.least_side,
        overlap=base.overlap if settings.overlap < 0 else settings.overlap,
        tile=settings.tile or base.tile,
    )


def diffvsr_config(settings: DiffusionSettings) -> DiffVsrConfig:
    """How DiffVSR is run; its tiles are counted in pixels of the input.

    Raises:
        SettingError: a tile that is no multiple of the scale.
    """
    base = DiffVsrConfig.published() if settings.published else DiffVsrConfig()
    if settings.tile % SCALE:
        raise SettingError(f"Expected a tile of a multiple of 64 pixels, or 0 for automatic, got {settings.tile}.")
    return replace(
        base,
        steps=settings.steps or base.steps,
        seed=settings.seed,
        guidance_scale=settings.cfg or base.guidance_scale,
        noise_level=settings.noise_level,
        overlap=base.overlap if settings.overlap < 0 else settings.overlap,
        tile=settings.tile // SCALE or base.tile,
    )
