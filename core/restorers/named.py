"""Published networks from files, which are named where they are not what they should be."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from ...models.registry import Architecture, load_network
from ..errors import UnknownCheckpointError


def load_named(path: Path, state: Mapping[str, Tensor], *among: Architecture) -> nn.Module:
    """The network of a state dict that was read from a file, or is a part of what was; see ``load_network``.

    Raises:
        UnknownCheckpointError: it is none of these, or something is missing in it; the message names the file.
    """
    try:
        return load_network(state, among)
    except UnknownCheckpointError as error:
        raise UnknownCheckpointError(str(error).replace("the state_dict", str(path))) from error
