"""The keys of the RAFT authors' checkpoints, which MGLD-VSR's checkpoint holds too, as those of ``raft.RAFT``."""

import re
from collections.abc import Mapping

from torch import Tensor

_DOUBLE = re.compile(r"\.layer\d\.\d\.norm3\.")
"""The norm of a block's shortcut, which the checkpoint has a second time as ``downsample.1``."""

_RULES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^fnet\.", "feature_encoder."),
        (r"^cnet\.", "context_encoder."),
        (r"_encoder\.conv1\.", "_encoder.convnormrelu.0."),
        (r"_encoder\.norm1\.", "_encoder.convnormrelu.1."),
        (r"_encoder\.conv2\.", "_encoder.conv."),
        (r"(layer\d\.\d)\.conv(\d)\.", r"\1.convnormrelu\2.0."),
        (r"(layer\d\.\d)\.norm(\d)\.", r"\1.convnormrelu\2.1."),
        (r"^update_block\.encoder\.convc(\d)\.", r"update_block.motion_encoder.convcorr\1.0."),
        (r"^update_block\.encoder\.convf(\d)\.", r"update_block.motion_encoder.convflow\1.0."),
        (r"^update_block\.encoder\.conv\.", "update_block.motion_encoder.conv.0."),
        (r"^update_block\.gru\.conv([zrq])(\d)\.", r"update_block.recurrent_block.convgru\2.conv\1."),
        (r"^update_block\.gru\.conv([zrq])\.", r"update_block.recurrent_block.convgru1.conv\1."),
        (r"^update_block\.mask\.0\.", "mask_predictor.convrelu.0."),
        (r"^update_block\.mask\.2\.", "mask_predictor.conv."),
    )
)


def rename_published(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under our keys; a key that no rule knows keeps its name, so that a strict load names it."""
    renamed = {}
    for key, value in state_dict.items():
        if _DOUBLE.search(key):
            continue
        for pattern, replacement in _RULES:
            key = pattern.sub(replacement, key)
        renamed[key] = value
    return renamed
