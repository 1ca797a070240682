"""CLIP-IQA as a loss (Wang et al., AAAI 2023): is a frame more like "Good photo." or like "Bad photo." to CLIP?

CLIP with a ResNet (Radford et al., 2021) under OpenAI's key names. As CLIP-IQA has it, the attention pool works without
its position embedding, so that frames of any size can be judged.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..core.errors import UnknownCheckpointError
from ..core.text.encode import tokenize
from ..models.registry import read_state_dict

PROMPTS = ("Good photo.", "Bad photo.")
_TEMPERATURE = 100.0
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_HEAD = 64  # width of an attention head, in all of CLIP's towers


class _Bottleneck(nn.Module):
    """1x1, 3x3, average pooling in place of a stride, 1x1; the shortcut is pooled likewise."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.stride = stride
        if stride > 1 or inputs != 4 * width:
            self.downsample = nn.Sequential()
            self.downsample.add_module("0", nn.Conv2d(inputs, 4 * width, 1, bias=False))
            self.downsample.add_module("1", nn.BatchNorm2d(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        out = self.bn3(self.conv3(F.avg_pool2d(out, self.stride)))
        short = self.downsample(F.avg_pool2d(x, self.stride)) if hasattr(self, "downsample") else x
        return F.relu(out + short)


class _AttentionPool(nn.Module):
    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, width) for _ in range(3))
        self.c_proj = nn.Linear(width, outputs)
        self.heads = width // _HEAD

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,H,W) -> (N,outputs): the mean attends to all places and itself; no position is known."""
        tokens = x.flatten(2).transpose(1, 2)
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1)
        q, k, v = self.q_proj(tokens[:, :1]), self.k_proj(tokens), self.v_proj(tokens)
        q, k, v = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in (q, k, v))  # (N,heads,L,width)
        return self.c_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)[:, 0])


class _ResNet(nn.Module):
    def __init__(self, width: int, layers: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width // 2, width // 2, 3, padding=1, bias=False)
        self.conv3 = nn.Conv2d(width // 2, width, 3, padding=1, bias=False)
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm2d(width // 2), nn.BatchNorm2d(width // 2), nn.BatchNorm2d(width)
        inputs = width
        for number, blocks in enumerate(layers):
            own, stride = width * 2**number, 1 if number == 0 else 2
            first = _Bottleneck(inputs, own, stride)
            inputs = 4 * own
            self.add_module(
                f"layer{number + 1}", nn.Sequential(first, *(_Bottleneck(inputs, own, 1) for _ in range(1, blocks)))
            )
        self.attnpool = _AttentionPool(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        for number in (1, 2, 3):
            x = F.relu(getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x)))
        x = F.avg_pool2d(x, 2)
        for number in (1, 2, 3, 4):
            x = getattr(self, f"layer{number}")(x)
        return self.attnpool(x)


class _TextBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, max(1, width // _HEAD), batch_first=True)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(width, 4 * width))
        self.mlp.add_module("c_proj", nn.Linear(4 * width, width))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        hidden = self.mlp[0](self.ln_2(x))
        return x + self.mlp[1](hidden * torch.sigmoid(1.702 * hidden))  # QuickGELU


class _TextTower(nn.Module):
    def __init__(self, state_dict: Mapping[str, Tensor]) -> None:
        super().__init__()
        vocabulary, width = state_dict["token_embedding.weight"].shape
        blocks = len({key.split(".")[2] for key in state_dict if key.startswith("transformer.resblocks.")})
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.positional_embedding = nn.Parameter(torch.zeros_like(state_dict["positional_embedding"]))
        self.transformer = nn.Module()
        self.transformer.resblocks = nn.ModuleList(_TextBlock(width) for _ in range(blocks))
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.zeros_like(state_dict["text_projection"]))

    def forward(self, ids: Tensor, ends: Tensor) -> Tensor:
        """Tokens (N,L) and the place of each end token -> (N,outputs)."""
        x = self.token_embedding(ids) + self.positional_embedding[: ids.shape[1]]
        ahead = torch.full((ids.shape[1], ids.shape[1]), float("-inf")).triu(1)
        for block in self.transformer.resblocks:
            x = block(x, ahead)
        return self.ln_final(x)[torch.arange(len(ids)), ends] @ self.text_projection


class ClipIqaLoss(nn.Module):
    """1 - CLIP-IQA, averaged over the frames; nothing in it learns.

    Args:
        state_dict: CLIP with a ResNet, OpenAI's keys (``visual.conv1.weight``, ``token_embedding.weight``, ...).

    Raises:
        UnknownCheckpointError: it is something else.
    """

    mean: Tensor
    std: Tensor
    texts: Tensor

    def __init__(self, state_dict: Mapping[str, Tensor]) -> None:
        super().__init__()
        state = {key: value.float() for key, value in state_dict.items()}
        try:
            self.visual = _build_visual(state)
            text = _TextTower(state)
            text.load_state_dict({key: state[key] for key in text.state_dict()})
        except (LookupError, RuntimeError) as error:
            raise UnknownCheckpointError(
                f"Expected CLIP RN50 with OpenAI's key names, got weights that do not fit: {error}; "
                "choose another file for clip (docs/training.md says how to make one)."
            ) from error
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))
        with torch.no_grad():
            ids, mask = tokenize(PROMPTS)
            self.register_buffer("texts", F.normalize(text(ids, mask.sum(1) - 1), dim=-1))
        self.eval().requires_grad_(False)

    def forward(self, clip: Tensor) -> Tensor:
        """(B,T,3,H,W) in [0,1] -> a number from 0 (good) to 1 (bad)."""
        return 1 - self.scores(clip.flatten(0, 1)).mean()

    def scores(self, frames: Tensor) -> Tensor:
        """CLIP-IQA of each frame: (N,3,H,W) in [0,1], sides at least 32 -> (N,) from 0 to 1."""
        features = F.normalize(self.visual((frames - self.mean) / self.std).float(), dim=-1)
        return (_TEMPERATURE * features @ self.texts.T).softmax(-1)[:, 0]


def load_clip_iqa(path: Path) -> ClipIqaLoss:
    """The loss with the weights of a file (a state_dict, .pt or .safetensors; not OpenAI's TorchScript archive).

    Raises:
        WeightsError: the file is not there, damaged, or another CLIP.
    """
    return ClipIqaLoss(read_state_dict(path))


def _build_visual(state: Mapping[str, Tensor]) -> _ResNet:
    own = {key.removeprefix("visual."): value for key, value in state.items() if key.startswith("visual.")}
    layers = tuple(len({k.split(".")[1] for k in own if k.startswith(f"layer{n}.")}) for n in (1, 2, 3, 4))
    visual = _ResNet(own["conv3.weight"].shape[0], layers, own["attnpool.c_proj.weight"].shape[0])
    visual.load_state_dict({key: own[key] for key in visual.state_dict()})
    return visual
