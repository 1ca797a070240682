"""CLIP-IQA as a loss; what it measures is in ``core.quality.clip_iqa``."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from ..core.quality.clip_files import read_clip
from ..core.quality.clip_iqa import ClipIqa


class ClipIqaLoss(nn.Module):
    """1 - CLIP-IQA with the paper's prompts, averaged over the frames; nothing in it learns.

    Args:
        state_dict: CLIP with a ResNet, OpenAI's keys (``visual.conv1.weight``, ``token_embedding.weight``, ...).

    Raises:
        UnknownCheckpointError: it is something else.
        MissingDependencyError: open_clip is not installed.
    """

    def __init__(self, state_dict: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.network = ClipIqa(state_dict)

    def forward(self, clip: Tensor) -> Tensor:
        """(B,T,3,H,W) in [0,1], sides at least 32 -> a number from 0 (good) to 1 (bad)."""
        return 1 - self.network.scores(clip.flatten(0, 1)).mean()


def load_clip_iqa(path: Path) -> ClipIqaLoss:
    """The loss with the weights of a file; see ``core.quality.clip_files.read_clip`` for the formats.

    Raises:
        WeightsError: the file is not there, damaged, or another CLIP.
    """
    return ClipIqaLoss(read_clip(path))
