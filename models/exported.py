"""Exported networks: the file that ``textovsr export`` writes, and what it holds.

One safetensors file. A convolution that is computed in 8 bits has its ``weight`` as int8, a ``scale`` for each of its
outputs, and the ``range`` of its input; everything else is as in any other checkpoint. The header says what was
exported and how, as JSON under one key, so that equal exports are equal files.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ..core.errors import DamagedWeightsError, UnknownCheckpointError
from .registry import load_network, read_state_dict
from .text_ovsr import TextOVSR

CARD = "textovsr_export"
"""The header's key."""

FORMAT = 1
"""The version of the file's layout."""

_WEIGHT, _SCALE, _RANGE = ".weight", ".scale", ".range"


@dataclass(frozen=True)
class Quantized:
    """A convolution in 8 bits.

    Attributes:
        weight: (O,I,k,k) int8.
        scale: (O,), what one step of each output's weights is worth.
        low: least value of the input that is told from others; 0 or below.
        high: the largest.
    """

    weight: Tensor
    scale: Tensor
    low: float
    high: float

    def real(self) -> Tensor:
        """The weights that are meant, in float32."""
        return self.weight.float() * self.scale.view(-1, 1, 1, 1)


class ExportedTextOVSR(nn.Module):
    """A network as it was exported; ``core.export.compiled`` makes it run.

    It holds no parameters, so that whoever moves or halves networks leaves it as it is.

    Args:
        network: with the weights that are meant, in eval mode.
        quantized: what is computed in 8 bits, by the convolution's name.
        card: what the header says.
        digest: SHA-256 of the file.
    """

    def __init__(
        self, network: TextOVSR, quantized: Mapping[str, Quantized], card: Mapping[str, Any], digest: str = ""
    ) -> None:
        super().__init__()
        self._held = (network,)  # in a tuple, where torch looks for no submodules
        self.quantized = dict(quantized)
        self.card = dict(card)
        self.digest = digest

    @property
    def network(self) -> TextOVSR:
        """In float32, on the CPU."""
        return self._held[0]


def is_exported(path: Path) -> bool:
    """Whether a file says that it was exported."""
    return path.suffix == ".safetensors" and CARD in _header(path)


def load_exported(path: Path) -> ExportedTextOVSR:
    """Read an exported file.

    Raises:
        DamagedWeightsError: the file is cut short or does not hold what its header says.
        UnknownCheckpointError: it is of a later version, or its network is not known.
    """
    card = _read_card(path)
    tensors = read_state_dict(path)
    names = [key.removesuffix(_RANGE) for key in tensors if key.endswith(_RANGE)]
    quantized = {name: _take(tensors, name, path) for name in names}
    for name, layer in quantized.items():
        tensors[name + _WEIGHT] = layer.real()
    network = load_network(tensors)
    if not isinstance(network, TextOVSR):
        raise UnknownCheckpointError(f"Expected an exported TextOVSR in {path}, got {type(network).__name__}.")
    return ExportedTextOVSR(network, quantized, card, hashlib.sha256(path.read_bytes()).hexdigest())


def save_exported(exported: ExportedTextOVSR, path: Path, dtype: torch.dtype = torch.float16) -> None:
    """Write an exported file: beside, and renamed, so that no half file is ever seen.

    Args:
        exported: what to write.
        path: where to, ending in ``.safetensors``.
        dtype: of what is not in 8 bits.

    Raises:
        OSError: it cannot be written.
    """
    tensors = {
        key: value.to(dtype) if value.is_floating_point() else value
        for key, value in exported.network.state_dict().items()
    }
    for name, layer in exported.quantized.items():
        tensors[name + _WEIGHT] = layer.weight
        tensors[name + _SCALE] = layer.scale.float()
        tensors[name + _RANGE] = torch.tensor([layer.low, layer.high])
    card = json.dumps({"format": FORMAT, **exported.card}, sort_keys=True)
    content = save({key: value.contiguous() for key, value in tensors.items()}, {CARD: card})
    partial = path.with_suffix(".partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _header(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError):
        return {}  # whoever reads its tensors says what is wrong


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(_header(path)[CARD])
        version = card["format"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DamagedWeightsError(
            f"Expected the header of an exported network in {path}, got none that can be read; export it again."
        ) from error
    if version != FORMAT:
        raise UnknownCheckpointError(
            f"Expected an exported network of format {FORMAT}, got {version!r} in {path}; update this pack, or export "
            "it again."
        )
    return dict(card)


def _take(tensors: dict[str, Tensor], name: str, path: Path) -> Quantized:
    """Take out what belongs to a convolution in 8 bits."""
    weight, scale, ends = (tensors.pop(name + part, None) for part in (_WEIGHT, _SCALE, _RANGE))
    if weight is None or scale is None or ends is None or not _fit(weight, scale, ends):
        raise DamagedWeightsError(
            f"Expected weights in 8 bits, their scales and a range for {name} in {path}, got something else; export it "
            "again."
        )
    return Quantized(weight, scale, float(ends[0]), float(ends[1]))


def _fit(weight: Tensor, scale: Tensor, ends: Tensor) -> bool:
    """Whether these are the parts of one ``Quantized``."""
    return (
        (weight.dtype, weight.ndim) == (torch.int8, 4)
        and scale.shape == weight.shape[:1]
        and ends.shape == (2,)
        and bool(torch.isfinite(scale).all() and torch.isfinite(ends).all())
        and bool(ends[0] <= 0 < ends[1])
    )
