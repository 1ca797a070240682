"""``textovsr export``: weights made ready for a CPU."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from ..core.config import FIDELITY
from ..core.existing import check_folder
from ..core.export.config import LEAST_FRAMES, MOST_FRAMES, ExportConfig, Precision
from ..core.space import readable
from ..models.catalog import SHIPPED
from .common import Outcome, check_output, given
from .weights import find

if TYPE_CHECKING:
    from ..core.export.config import Exported


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument("output", type=Path, metavar="OUT.safetensors", help="the file to write; used like any weights")
    parser.add_argument(
        "--weights", metavar="NAME", help=f"see `textovsr weights`; or a file (default {SHIPPED[0].name})"
    )
    parser.add_argument(
        "--precision",
        choices=get_args(Precision),
        help="int8 computes in 8 bits what can bear it; fp16 and fp32 only say how weights are stored "
        f"(default {ExportConfig.precision})",
    )
    parser.add_argument(
        "--fidelity",
        type=float,
        metavar="SHARE",
        help=f"1: invent nothing; towards 0: crisper, for weights with two ends (default {FIDELITY:g})",
    )
    parser.add_argument(
        "--frames",
        type=int,
        help=f"of each bundled clip that it is tried on: {LEAST_FRAMES} to {MOST_FRAMES}; fewer are quicker "
        f"(default {ExportConfig.frames})",
    )
    parser.add_argument("--seed", type=int, help=f"of what is done to these clips (default {ExportConfig.seed})")
    parser.add_argument(
        "--most-loss",
        type=float,
        metavar="DB",
        help=f"write nothing if more than this is lost (default {ExportConfig.most_loss:g})",
    )
    parser.add_argument("--overwrite", action="store_true", default=False, help="replace OUT if it exists")


def run(options: argparse.Namespace) -> Outcome:
    """Export weights."""
    source = find(getattr(options, "weights", SHIPPED[0].name))
    check_folder(options.output)
    check_output(options.output, [source], options.overwrite)
    from ..core.export.export import export_network

    return _describe(export_network(source, options.output, given(ExportConfig, options)))


def _describe(exported: "Exported") -> Outcome:
    values = {**asdict(exported), "path": str(exported.path)}
    text = (
        f"{exported.path}: {exported.precision}, {readable(exported.bytes)}, {exported.layers} convolutions in 8 bits; "
        f"{exported.loss:.3f} dB lost ({exported.worst_loss:.3f} dB at worst)"
    )
    return Outcome(values, text)
