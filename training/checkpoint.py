"""The files of a run: the state it goes on from, and the averaged weights with their recipe."""

import json
import logging
import os
import pickle
import platform
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..core.errors import DamagedWeightsError, WeightsError
from ..core.text.tower import load_text_tower
from ..models.catalog import find_weights
from ..models.registry import load_network, save_weights
from ..models.text_ovsr import TextOVSR
from .config import RunConfig, TrainConfig
from .config_file import to_table
from .initial import initialise

if TYPE_CHECKING:
    from .run import Run

log = logging.getLogger(__name__)

STATE = "state.pt"

NEGATIVE = (
    "basicvsr.backward_resblocks_layer10.",
    "basicvsr.forward_resblocks_layer10.",
    "basicvsr.forward_cross_attn.",
)
"""What the keys of the negative branch begin with; only training needs them."""

_MAY_CHANGE = ("steps", "save_every", "validation", "workers", "device", "output")


def build_network(config: TrainConfig) -> TextOVSR:
    """The network a run begins with.

    Raises:
        WeightsError: the weights it is to start from are not there, or of another network.
    """
    if not config.start:
        net = TextOVSR(config.network)
        initialise(net, config.basicvsr)
        if config.text_encoder:
            _take_text_encoder(net, config.text_encoder)
        return net
    start = load_network(_file(config.start))
    if not isinstance(start, TextOVSR):
        raise WeightsError(f"Expected weights of TextOVSR to start from, got {config.start}; choose others.")
    wanted = config.network or start.config
    if replace(wanted, negative=False) != replace(start.config, negative=False):
        raise WeightsError(
            f"Expected {config.start} to be of the network {wanted}, got {start.config}; leave network out."
        )
    net = TextOVSR(wanted)
    initialise(net)
    own = net.state_dict()
    net.load_state_dict({**own, **{key: value for key, value in start.state_dict().items() if key in own}})
    return net


def _file(source: str) -> Path:
    """A path, or the file of a name that ships."""
    path = Path(source).expanduser()
    return path if path.is_file() else find_weights(source, ())


def _take_text_encoder(net: TextOVSR, source: str) -> None:
    folder = Path(source).expanduser()
    tower = load_text_tower(folder if folder.is_dir() else _file(source)).state_dict()
    own = net.basicvsr.text_encoder
    if {key: value.shape for key, value in tower.items()} != {k: v.shape for k, v in own.state_dict().items()}:
        raise WeightsError(
            f"Expected {source} to have a text encoder of {net.config.text}, got one of another size; choose others."
        )
    own.load_state_dict(tower)


def without_negative(state_dict: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights for those who only upscale."""
    return {key: value for key, value in state_dict.items() if not key.startswith(NEGATIVE)}


def export(run: "Run", recent: Mapping[str, float]) -> None:
    """Write the averaged weights (fp16) with their card."""
    card = describe(run, recent, {"network": to_table(run.net.config)})
    save_weights(run.average.state_dict(), run.weights, card)


def describe(run: "Run", recent: Mapping[str, float], more: Mapping[str, Any]) -> dict[str, str]:
    """Recipe, data, figures, hours and hardware, for a file's header; ``more`` goes into the recipe."""
    hardware = torch.cuda.get_device_name(run.device) if run.device.type == "cuda" else platform.processor() or "CPU"
    recipe = {**to_table(run.config), "step": run.step, "loss": recent.get("loss", 0.0), **more}
    return {
        "recipe": json.dumps(recipe),
        "data": json.dumps(run.material.sources(), ensure_ascii=False),
        "metrics": json.dumps({**recent, **run.validation.latest}),
        "hours": f"{run.seconds / 3600:.2f}",
        "hardware": hardware,
    }


def save_state(config: RunConfig, state: Mapping[str, Any]) -> None:
    """Write what a run goes on from; a kill or a power cut leaves the old file or the new one."""
    partial = config.output / "state.partial"
    with partial.open("wb") as file:
        torch.save({**state, "recipe": json.dumps(to_table(config))}, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(config.output / STATE)


def load_state(config: RunConfig) -> dict[str, Any] | None:
    """Read it again, on the CPU; None if the run has not begun. Says which settings are not what they were.

    Raises:
        DamagedWeightsError: the file is no state.
    """
    path = config.output / STATE
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        step = int(state["step"])
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise DamagedWeightsError(
            f"Expected the state of a run in {path}, got what cannot be read; remove it to begin anew."
        ) from error
    now, before = to_table(config), json.loads(state.get("recipe", "{}"))
    changed = [key for key in now if key in before and now[key] != before[key] and key not in _MAY_CHANGE]
    if changed:
        log.warning(
            "The run in %s goes on with other settings than it began with: %s.", path.parent, ", ".join(changed)
        )
    log.info("going on after step %d", step)
    return state
