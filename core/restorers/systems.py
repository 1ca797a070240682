"""The diffusion systems by name: from files to networks, from settings to a restorer."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from torch import nn

from ..diffusion.config import GuidanceConfig
from ..errors import SettingError
from ..weights import find_system
from .diffvsr.config import DiffVsrConfig
from .diffvsr.loading import load_diffvsr_parts
from .diffvsr.restorer import DiffVsrRestorer
from .mgld.config import MgldConfig
from .mgld.loading import load_mgld_parts
from .mgld.restorer import MgldRestorer
from .parts import Parts
from .settings import DiffusionSettings

EXACT: dict[str, tuple[str, ...]] = {"diffvsr": ("vae",)}
"""Networks of a system that were published in full precision."""


def load_parts(system: str, files: Mapping[str, Path]) -> dict[str, nn.Module]:
    """The networks of a system by name, in eval mode, on the CPU.

    Args:
        system: its name.
        files: of its networks, see ``weights.require_files``.

    Raises:
        WeightsError: a file is not what it should be.
    """
    return _LOAD[system](files)


def make_diffusion_restorer(
    system: str, parts: Parts, settings: DiffusionSettings, memory: int
) -> MgldRestorer | DiffVsrRestorer:
    """The restorer of a system; its ``tell_step`` may be set to hear of every step.

    Args:
        system: its name, see ``models.published``.
        parts: its networks.
        settings: what the user chose.
        memory: bytes that may be used beside the weights.

    Raises:
        SettingError: there is no such system, or a setting is out of range.
    """
    if find_system(system).name == "mgld":
        return MgldRestorer(parts, _mgld_config(settings), memory)
    return DiffVsrRestorer(parts, _diffvsr_config(settings), memory)


def _mgld_config(settings: DiffusionSettings) -> MgldConfig:
    base = MgldConfig.published() if settings.published else MgldConfig()
    guidance = base.guidance
    if not settings.published:
        scale = settings.motion_guidance
        guidance = GuidanceConfig(scale=scale) if scale else None
    return replace(
        base,
        steps=settings.steps,
        seed=settings.seed,
        fidelity=settings.fidelity,
        guidance=guidance,
        least_side=settings.least_side,
        overlap=base.overlap if settings.overlap < 0 else settings.overlap,
        tile=settings.tile or base.tile,
    )


def _diffvsr_config(settings: DiffusionSettings) -> DiffVsrConfig:
    base = DiffVsrConfig.published() if settings.published else DiffVsrConfig()
    if settings.tile % 4:
        raise SettingError(f"Expected a tile of a multiple of 64 pixels, or 0 for automatic, got {settings.tile}.")
    return replace(
        base,
        steps=settings.steps,
        seed=settings.seed,
        guidance_scale=settings.cfg,
        noise_level=settings.noise_level,
        overlap=base.overlap if settings.overlap < 0 else settings.overlap,
        tile=settings.tile // 4 or base.tile,
    )


def _load_mgld(files: Mapping[str, Path]) -> dict[str, nn.Module]:
    return load_mgld_parts(files["denoiser"], files["vae"], files["text_encoder"], files.get("flow"))


def _load_diffvsr(files: Mapping[str, Path]) -> dict[str, nn.Module]:
    return load_diffvsr_parts(files["denoiser"], files["vae"], files["text_encoder"])


_LOAD: dict[str, Callable[[Mapping[str, Path]], dict[str, nn.Module]]] = {
    "mgld": _load_mgld,
    "diffvsr": _load_diffvsr,
}
