"""The diffusion systems by name: from files to networks, from settings to a restorer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from ..restorer import Restorer
from ..weights import find_system
from .configs import diffvsr_config, mgld_config, sdatc_config, star_cog_config, star_config
from .diffvsr.loading import load_diffvsr_parts
from .diffvsr.restorer import DiffVsrRestorer
from .mgld.loading import load_mgld_parts
from .mgld.restorer import MgldRestorer
from .parts import Parts, TellStep
from .sdatc.loading import SdatcFiles, load_sdatc_parts
from .sdatc.restorer import SdatcRestorer
from .settings import DiffusionSettings
from .star.loading import load_star_parts
from .star.restorer import StarRestorer
from .star_cog.loading import load_star_cog_parts
from .star_cog.restorer import StarCogRestorer


class DiffusionRestorer(Restorer, Protocol):
    """A restorer that samples; ``tell_step`` may be set to hear of every step."""

    tell_step: TellStep


@dataclass(frozen=True)
class Kind:
    """What is done for a system.

    Attributes:
        load: from files by the network's name to networks by the part's name, in eval mode, on the CPU.
        make: from networks, settings and bytes of memory to a restorer.
        exact: parts that were published in full precision.
        dtype: what the others compute in where it is quick; None is half precision on CUDA, full on other devices.
    """

    load: Callable[[Mapping[str, Path]], dict[str, nn.Module]]
    make: Callable[[Parts, DiffusionSettings, int], DiffusionRestorer]
    exact: tuple[str, ...] = ()
    dtype: torch.dtype | None = None


def load_parts(system: str, files: Mapping[str, Path]) -> dict[str, nn.Module]:
    """The networks of a system by name, in eval mode, on the CPU.

    Args:
        system: its name.
        files: of its networks, see ``weights.require_files``.

    Raises:
        WeightsError: a file is not what it should be.
    """
    return _kind(system).load(files)


def exact_parts(system: str) -> tuple[str, ...]:
    """Networks of a system that were published in full precision, and compute in it."""
    return _kind(system).exact


def compute_dtype(system: str, device: torch.device) -> torch.dtype:
    """What the other networks of a system compute in on a device.

    Full precision on a CPU: without instructions for half, a convolution in it takes up to 290 times as long.
    """
    if device.type == "cpu":
        return torch.float32
    half = torch.float16 if device.type == "cuda" else torch.float32
    return _kind(system).dtype or half


def make_diffusion_restorer(system: str, parts: Parts, settings: DiffusionSettings, memory: int) -> DiffusionRestorer:
    """The restorer of a system.

    Args:
        system: its name, see ``models.published``.
        parts: its networks.
        settings: what the user chose.
        memory: bytes that may be used beside the weights.

    Raises:
        SettingError: there is no such system, or a setting is out of range.
    """
    return _kind(system).make(parts, settings, memory)


def _kind(system: str) -> Kind:
    return _KINDS[find_system(system).name]


_KINDS = {
    "mgld": Kind(
        lambda files: load_mgld_parts(files["denoiser"], files["vae"], files["text_encoder"], files.get("flow")),
        lambda parts, settings, memory: MgldRestorer(parts, mgld_config(settings), memory),
    ),
    "diffvsr": Kind(
        lambda files: load_diffvsr_parts(files["denoiser"], files["vae"], files["text_encoder"]),
        lambda parts, settings, memory: DiffVsrRestorer(parts, diffvsr_config(settings), memory),
        exact=("vae",),
    ),
    "star": Kind(
        lambda files: load_star_parts(files["denoiser"], files["vae"], files["text_encoder"]),
        lambda parts, settings, memory: StarRestorer(parts, star_config(settings), memory),
        exact=("vae", "text"),
    ),
    "star-cogvideox": Kind(
        lambda files: load_star_cog_parts(files["denoiser"], files["vae"], files["text_encoder"], files["tokenizer"]),
        lambda parts, settings, memory: StarCogRestorer(parts, star_cog_config(settings), memory),
        dtype=torch.bfloat16,
    ),
    "sdatc": Kind(
        lambda files: load_sdatc_parts(
            SdatcFiles(
                files["stage1"], files["stage2"], files["unet"], files["vae"], files["text_encoder"], files.get("flow")
            )
        ),
        lambda parts, settings, memory: SdatcRestorer(parts, sdatc_config(settings), memory),
        exact=("dcm", "vae"),
    ),
}
