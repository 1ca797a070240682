"""The diffusion systems by name: from files to networks, from settings to a restorer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from ..diffusion.config import GUIDANCE_SCALE, GuidanceConfig
from ..errors import SettingError
from ..restorer import Restorer
from ..weights import find_system
from .diffusion_config import DiffVsrConfig, MgldConfig
from .diffvsr import DiffVsrRestorer
from .diffvsr_loading import load_diffvsr_parts
from .mgld import MgldRestorer
from .mgld_loading import load_mgld_parts
from .parts import Parts


@dataclass(frozen=True)
class DiffusionSettings:
    """What users choose; what a system does not know it does not look at.

    Attributes:
        steps: of the sampler.
        seed: decides all noise.
        motion_guidance: MGLD-VSR: how strongly frames are made to agree along the motion, 0 is not at all.
        fidelity: MGLD-VSR: how much the input's own features lead the decoder, 0 to 1.
        least_side: MGLD-VSR: pixels of the result that the shorter side is enlarged to while it works, at least.
        cfg: DiffVSR: how closely to follow the caption.
        noise_level: DiffVSR: of the noise added to the input, 0 to 350; more leaves more to be invented.
        overlap: frames that windows share; -1 is the system's own choice.
        tile: side of the denoiser's tiles, in pixels of the result, a multiple of 64; 0 chooses by memory.
        published: do what the published code does, its segments, tiles and slips, instead of what we hold for better.
    """

    steps: int = 50
    seed: int = 0
    motion_guidance: float = GUIDANCE_SCALE
    fidelity: float = MgldConfig.fidelity
    least_side: int = MgldConfig.least_side
    cfg: float = DiffVsrConfig.guidance_scale
    noise_level: int = DiffVsrConfig.noise_level
    overlap: int = -1
    tile: int = 0
    published: bool = False


def load_parts(system: str, files: Mapping[str, Path]) -> dict[str, nn.Module]:
    """The networks of a system by name, in eval mode, on the CPU.

    Args:
        system: its name.
        files: of its networks, see ``weights.require_files``.

    Raises:
        WeightsError: a file is not what it should be.
    """
    return _LOAD[system](files)


def make_diffusion_restorer(system: str, parts: Parts, settings: DiffusionSettings, memory: int) -> Restorer:
    """The restorer of a system.

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
