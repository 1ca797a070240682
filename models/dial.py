"""The fidelity dial: between two sets of weights of one network, the one trained further from the other.

The weights of the ends are interpolated linearly, tensor by tensor (Wang et al., ESRGAN, ECCV Workshops 2018, section
3.4, network interpolation).
"""

from pathlib import Path

from torch import Tensor, nn

from ..core.errors import SettingError, UnknownCheckpointError, WeightsNotFoundError
from .catalog import detail_end
from .exported import is_exported, load_exported
from .registry import load_network, read_state_dict


def load_dialled(path: Path, fidelity: float = 1.0) -> nn.Module:
    """Load a network at a place between its two ends.

    Args:
        path: the fidelity end; see ``load_network``.
        fidelity: 1 is the fidelity end, 0 the detail end, which is the file at ``detail_end(path)``. That file may
            hold only the tensors that differ. An exported network stands where it was exported, at 1.

    Raises:
        SettingError: ``fidelity`` is not in [0,1], or below 1 for an exported network.
        WeightsNotFoundError: ``fidelity`` is below 1, and there is no detail end.
        UnknownCheckpointError: the ends are not of one network; and see ``load_network``.
    """
    if not 0 <= fidelity <= 1:
        raise SettingError(f"Expected a fidelity from 0 (most detail) to 1 (most faithful), got {fidelity:g}.")
    if is_exported(path):
        if fidelity != 1:
            raise SettingError(
                f"Expected fidelity 1 with {path.name}, got {fidelity:g}: it was exported, and cannot be moved; "
                "export the weights again with the fidelity you want."
            )
        return load_exported(path)
    network = load_network(path)
    if fidelity == 1:
        return network
    other = detail_end(path)
    if not other.is_file():
        raise WeightsNotFoundError(
            f"Expected a detail end {other.name} beside {path.name} for fidelity {fidelity:g}, found none; set the "
            "fidelity to 1, or choose weights that have one."
        )
    own = network.state_dict()
    ends = _completed(other, own)
    if {key: value.shape for key, value in ends.items()} != {key: value.shape for key, value in own.items()}:
        raise UnknownCheckpointError(
            f"Expected {other.name} to be the same network as {path.name}, got another size; set the fidelity to 1."
        )
    for key, value in own.items():
        if value.is_floating_point():
            value.lerp_(ends[key], 1 - fidelity)
    return network


def _completed(path: Path, own: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a detail end; what its file does not hold is as in the fidelity end."""
    held = read_state_dict(path)
    if held.keys() < own.keys():
        return {**own, **{key: value.to(own[key].dtype) for key, value in held.items()}}
    return load_network(path).state_dict()
