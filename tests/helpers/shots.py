"""Restoring frames of a shot, watched: what tests of every diffusion system share."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from textovsr.core.journal import Pause
from textovsr.core.restoration import Restoration, Result, ShotFrame
from textovsr.core.restorer import Restorer
from textovsr.core.restorers.parts import HeldParts


class WatchedParts(HeldParts):
    """Parts that are asked, by name and how often so far, whether they may be used."""

    def __init__(
        self, networks: Mapping[str, nn.Module], allow: Callable[[str, int], None] = lambda name, count: None
    ) -> None:
        super().__init__(networks, torch.device("cpu"), torch.float32)
        self.used: list[str] = []
        self._allow = allow

    def use(self, *names: str) -> tuple[nn.Module, ...]:
        for name in names:
            self.used.append(name)
            self._allow(name, self.used.count(name))
        return super().use(*names)


def restored(
    restorer: Restorer,
    frames: Sequence[ShotFrame],
    begin: Pause | None = None,
    check: Callable[[], None] = lambda: None,
    tell: Callable[[str], None] = lambda text: None,
) -> Iterator[Result | Pause]:
    """Restore frames, the first of which follows the pause that is begun with."""
    plan = restorer.plan(frames[0].image.shape[-2], frames[0].image.shape[-1])
    return Restoration(restorer, plan, check, tell).run(frames, begin)


def images(items: Sequence[Result | Pause], first: int = 0) -> Tensor:
    """The frames that came out, (T,3,H,W), every one in its place."""
    found = [item for item in items if isinstance(item, Result)]
    assert [item.frame.pts for item in found] == list(range(first, first + len(found)))
    return torch.stack([item.image for item in found])
