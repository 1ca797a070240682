"""Several graphics cards or machines on the command line: the options of ``textovsr upscale`` for them."""

import argparse
from typing import TYPE_CHECKING

from ..core.errors import SettingError
from ..models.catalog import SHIPPED
from .common import given
from .diffusion import OURS, diffusion_files, diffusion_settings
from .weights import find

if TYPE_CHECKING:
    from ..core.cluster.recipe import Recipe
    from ..core.job import Restored
    from ..core.pipeline import Order
    from .progress import ProgressLine


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the options of work that is shared out."""
    group = parser.add_argument_group("several graphics cards or machines, by Ray; see docs/cluster.md")
    group.add_argument(
        "--cluster",
        dest="address",
        metavar="ADDRESS",
        help="of a Ray cluster: auto, HOST:PORT or ray://HOST:PORT; local: all graphics cards or cores of this machine",
    )
    group.add_argument("--workers", type=_count, metavar="NUMBER", help="at most so many (default: all there are)")
    group.add_argument("--worker-cpus", dest="cpus", type=_count, metavar="NUMBER", help="of a worker without a card")
    group.add_argument(
        "--lead",
        type=int,
        metavar="FRAMES",
        help="restored before a part of a long shot, for what is carried there (default: enough; -1: the whole shot)",
    )
    group.add_argument("--piece", type=_count, metavar="FRAMES", help="that a worker is given at once, about")


def check_options(options: argparse.Namespace) -> None:
    """Insist that options of a cluster come with one.

    Raises:
        SettingError: they do not.
    """
    lost = [name for name in ("workers", "cpus", "lead", "piece") if hasattr(options, name)]
    if lost and not hasattr(options, "address"):
        raise SettingError(
            f"Expected --cluster ADDRESS with the option for its {lost[0]}, got none; add --cluster local."
        )


def restore(order: "Order", options: argparse.Namespace, progress: "ProgressLine") -> "Restored":
    """Restore a video on the cluster that was named."""
    from ..core.cluster.config import ClusterConfig
    from ..core.cluster.engine import restore_on_cluster

    return restore_on_cluster(order, _recipe(options), given(ClusterConfig, options), progress)


def _recipe(options: argparse.Namespace) -> "Recipe":
    from ..core.cluster.recipe import DiffusionRecipe, RecurrentRecipe
    from ..core.config import FIDELITY, RecurrentConfig

    if options.system != OURS:
        return DiffusionRecipe(options.system, diffusion_files(options), diffusion_settings(options))
    weights = find(getattr(options, "weights", SHIPPED[0].name))
    return RecurrentRecipe(weights, given(RecurrentConfig, options), getattr(options, "fidelity", FIDELITY))


def _count(value: str) -> int:
    count = int(value)
    if count < 1:
        raise argparse.ArgumentTypeError(f"Expected a number of at least 1, got {value}.")
    return count
