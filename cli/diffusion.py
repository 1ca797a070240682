"""The diffusion systems on the command line: their options of ``textovsr upscale``, and their restorer."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.config import SCALE
from ..core.diffusion.config import LEVEL_MODES
from ..core.restorers.settings import DiffusionSettings
from ..models.published import SYSTEMS
from .common import given
from .weights import VARIANTS, weights_folders

if TYPE_CHECKING:
    import torch

    from ..core.restorer import Restorer

OURS = "textovsr"
"""The system that is not one of these."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the options that diffusion systems have."""
    names = [system.name for system in SYSTEMS]
    group = parser.add_argument_group(
        "diffusion systems; slow, they make up detail. See `textovsr weights --system NAME`"
    )
    group.add_argument("--system", choices=[OURS, *names], default=OURS, help="what restores (default %(default)s)")
    group.add_argument("--steps", type=int, help="of the sampler (default: the system's own)")
    group.add_argument("--seed", type=int, help=f"decides all noise (default {DiffusionSettings.seed})")
    group.add_argument(
        "--motion-guidance",
        type=float,
        metavar="SCALE",
        help="mgld, sdatc: how strongly frames are made to agree (default: the system's own; 0: not)",
    )
    group.add_argument(
        "--least-side",
        type=int,
        metavar="PIXELS",
        help=f"mgld: the shorter side it works at, at least (default {DiffusionSettings.least_side})",
    )
    group.add_argument(
        "--cfg", type=float, help="diffvsr, star: how far to go towards the caption (default: the system's own)"
    )
    group.add_argument(
        "--noise-level",
        type=int,
        help=f"diffvsr: of the noise added to the input, 0 to 350 (default {DiffusionSettings.noise_level})",
    )
    group.add_argument(
        "--mode", choices=LEVEL_MODES, help=f"star: spread of the steps (default {DiffusionSettings.mode})"
    )
    group.add_argument(
        "--variant", choices=VARIANTS, default="", help=f"star: for which videos (default {VARIANTS[0]})"
    )
    group.add_argument("--overlap", type=int, metavar="FRAMES", help="frames that windows share")
    group.add_argument("--published", action="store_true", help="what the published code does, its slips included")
    group.add_argument("--options", metavar="NAME=VALUE,...", help="any other setting of the system, by its name")


def load_restorer(options: argparse.Namespace, device: "torch.device") -> "Restorer":
    """The restorer of the system that was chosen.

    Raises:
        WeightsNotFoundError: a file is missing; the message says how to get it.
        WeightsError: a file is not what it should be.
        SettingError: an option is out of range.
    """
    from ..core.device import memory_budget
    from ..core.restorers.parts import HeldParts
    from ..core.restorers.systems import compute_dtype, exact_parts, load_parts, make_diffusion_restorer

    files = diffusion_files(options)
    dtype = compute_dtype(options.system, device)
    parts = HeldParts(load_parts(options.system, files), device, dtype, exact_parts(options.system))
    return make_diffusion_restorer(options.system, parts, diffusion_settings(options), memory_budget(device))


def diffusion_files(options: argparse.Namespace) -> dict[str, Path]:
    """The file of each network of the system that was chosen, by the network's name; see ``require_files``."""
    from ..core.weights import find_system, require_files

    return require_files(find_system(options.system, options.variant), weights_folders())


def diffusion_settings(options: argparse.Namespace) -> DiffusionSettings:
    """What was chosen of the system; tiles are given in pixels of the input."""
    tile = {"tile": options.tile * SCALE} if hasattr(options, "tile") else {}
    return given(DiffusionSettings, argparse.Namespace(**{**vars(options), **tile}))
