"""A degradation in full: what was asked for, and the exact operations it became, as JSON that makes it again."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from torch import Tensor

from ..errors import SettingError
from . import film, operations, tape
from .chain import describe_chain, run_chain
from .config import DegradeConfig
from .operation import Operation
from .presets import SAMPLERS

_VERSION = 1
_SMALLEST_SIDE = 16
_KINDS: dict[str, type[Operation]] = {
    kind.__name__: kind
    for module in (operations, tape, film)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Operation) and kind is not Operation
}


@dataclass(frozen=True)
class Degradation:
    """A degradation with nothing left to chance but what the seed decides.

    Attributes:
        config: what was asked for.
        size: (height, width) of the clip it was made for.
        chain: the operations in their order.
    """

    config: DegradeConfig
    size: tuple[int, int]
    chain: tuple[Operation, ...]

    @classmethod
    def sample(cls, config: DegradeConfig, size: tuple[int, int]) -> "Degradation":
        """Choose the parameters for a clip of ``size`` (height, width).

        Raises:
            SettingError: the result would be smaller than 16 pixels.
        """
        out = size[0] // config.scale, size[1] // config.scale
        if min(out) < _SMALLEST_SIDE:
            raise SettingError(
                f"Expected a result of at least {_SMALLEST_SIDE} pixels a side, got {out[1]}x{out[0]}; choose scale 1."
            )
        chain = SAMPLERS[config.preset](size, out, np.random.default_rng(config.seed))
        return cls(config, size, tuple(chain))

    @property
    def text(self) -> str:
        """The degradation text: every operation's words in the order applied."""
        return describe_chain(self.chain)

    @property
    def out(self) -> tuple[int, int]:
        """(height, width) of the result."""
        return self.size[0] // self.config.scale, self.size[1] // self.config.scale

    def run(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Degrade frames (3,H,W) of ``size`` as they come; see ``run_chain``."""
        return run_chain(frames, self.chain, self.config.seed, self.config.drift)

    def to_json(self, indent: int | None = 2) -> str:
        """The exact parameters; ``from_json`` makes the same degradation of them."""
        chain = [{"operation": type(operation).__name__, **asdict(operation)} for operation in self.chain]
        values = {"version": _VERSION, **asdict(self.config), "size": self.size, "text": self.text, "chain": chain}
        return json.dumps(values, indent=indent)

    @classmethod
    def from_json(cls, text: str) -> "Degradation":
        """Read what ``to_json`` wrote.

        Raises:
            SettingError: it is not that.
        """
        try:
            values = json.loads(text)
            config = DegradeConfig(**{field.name: values[field.name] for field in fields(DegradeConfig)})
            height, width = values["size"]
            return cls(config, (int(height), int(width)), tuple(_operation(entry) for entry in values["chain"]))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise SettingError(f"Expected the parameters of a degradation as JSON, got {error!r}.") from error


def _operation(entry: dict[str, Any]) -> Operation:
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    return _KINDS[str(values.pop("operation"))](**values)
