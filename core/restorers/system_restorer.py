"""What the restorers of all diffusion systems have: networks that take turns, texts, an identity."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar
from weakref import WeakKeyDictionary

from torch import Tensor

from ..config import SCALE
from .fingerprint import fingerprint
from .parts import Parts, TellStep, untold

Config = TypeVar("Config")

Embed = Callable[[Any, Sequence[str]], Iterable[Tensor]]
"""The text network and B prompts to what the denoiser reads, (B,K,D)."""

_PROMPTS = 32
"""Prompts whose tokens are kept, beside those of a window."""

_hashes: WeakKeyDictionary[Parts, str] = WeakKeyDictionary()


class SystemRestorer(Generic[Config]):
    """A restorer's networks, settings and memory; how a shot is restored is the system's own.

    Args:
        parts: the networks, see ``part_names``; their weights do not change while these are held.
        config: how it is run.
        memory: bytes that may be used beside the weights.
        embed: how prompts go through the text network.

    Attributes:
        title: of the system.
        part_names: its networks' names.
        tell_step: may be set to hear of every step.
    """

    scale = SCALE
    title: ClassVar[str]
    part_names: ClassVar[tuple[str, ...]]

    def __init__(self, parts: Parts, config: Config, memory: int, embed: Embed) -> None:
        self.parts, self.config, self.memory = parts, config, memory
        self.tell_step: TellStep = untold
        self._texts = Texts(parts, embed)

    @cached_property
    def identity(self) -> str:
        """See ``Restorer.identity``: a hash of the weights, and all settings.

        The hash takes seconds to a minute and brings every network to its device: it is made once for the parts.
        """
        if self.parts not in _hashes:
            _hashes[self.parts] = " ".join(fingerprint(*self.parts.use(name)) for name in self.part_names)
        return f"{self.title} {_hashes[self.parts]} {self.config} {self.parts.device.type} {self.parts.dtype}"


class Texts:
    """What the denoiser reads of prompts, computed once for each of the latest."""

    def __init__(self, parts: Parts, embed: Embed) -> None:
        self._parts, self._embed = parts, embed
        self._known: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return len(self._known)

    def tokens(self, prompts: Sequence[str]) -> list[Tensor]:
        """Of each prompt, (K,D); new ones go through the text network together, in the order in which they come."""
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._known]
        if new:
            if len(self._known) >= _PROMPTS:
                new, self._known = list(dict.fromkeys(prompts)), {}
            (network,) = self._parts.use("text")
            self._known.update(zip(new, self._embed(network, new), strict=True))
        return [self._known[prompt] for prompt in prompts]
