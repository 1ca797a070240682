"""What tells one set of weights from another."""

import hashlib

import torch
from torch import nn


def fingerprint(network: nn.Module) -> str:
    """A hash of all tensors of a network, as they are: another precision has another one."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
