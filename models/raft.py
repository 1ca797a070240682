"""RAFT: optical flow by recurrent look-ups in all correlations (Teed and Deng, ECCV 2020), large and small.

The modules bear torchvision's key names; ``raft_names`` turns those of the authors' checkpoints into them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..core.errors import ShapeError

ITERATIONS = 12
"""Updates of the flow, as the authors and torchvision have it; MGLD-VSR takes 10."""

_SCALE = 8  # features are this much smaller than the pictures
_LEVELS = 4
_LEAST_SIDE = _SCALE * 2**_LEVELS  # two features at the coarsest level: one has no coordinates

Norm = Literal["instance", "batch", "none"]


@dataclass(frozen=True)
class RaftConfig:
    """The sizes in which large and small RAFT differ.

    Attributes:
        widths: channels of the encoders' stages; the last is that of the features.
        bottleneck: whether their blocks are bottlenecks.
        context: channels that the context encoder yields, ``hidden`` of them to begin with.
        context_norm: how it normalises.
        hidden: channels of the recurrent state.
        radius: features around a point that are looked up, each way.
        correlation: channels that the correlations go through.
        motion: channels that the flow goes through, and those that both become.
        head: channels before the flow's correction.
    """

    widths: tuple[int, int, int, int, int]
    bottleneck: bool
    context: int
    context_norm: Norm
    hidden: int
    radius: int
    correlation: tuple[int, ...]
    motion: tuple[int, int, int]
    head: int

    @property
    def large(self) -> bool:
        """Whether the state is updated along rows, then columns, and the flow enlarged by learnt weights."""
        return not self.bottleneck


LARGE = RaftConfig((64, 64, 96, 128, 256), False, 256, "batch", 128, 4, (256, 192), (128, 64, 128), 256)
SMALL = RaftConfig((32, 32, 64, 96, 128), True, 160, "none", 96, 3, (96,), (64, 32, 82), 128)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, norm: Norm = "none") -> nn.Sequential:
    """Convolution of the same size but for its stride, norm if any; the ReLU is the caller's."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)]
    if norm != "none":
        layers.append(nn.BatchNorm2d(outputs) if norm == "batch" else nn.InstanceNorm2d(outputs))
    return nn.Sequential(*layers)


class _Block(nn.Module):
    """A residual block of two 3x3 convolutions, or of 1x1, 3x3 and 1x1 around a quarter of the channels."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: Norm, bottleneck: bool) -> None:
        super().__init__()
        if bottleneck:
            inner = outputs // 4
            self.convnormrelu1 = _conv(inputs, inner, 1, 1, norm)
            self.convnormrelu2 = _conv(inner, inner, 3, stride, norm)
            self.convnormrelu3 = _conv(inner, outputs, 1, 1, norm)
        else:
            self.convnormrelu1 = _conv(inputs, outputs, 3, stride, norm)
            self.convnormrelu2 = _conv(outputs, outputs, 3, 1, norm)
            self.convnormrelu3 = nn.Sequential()
        self.downsample = nn.Sequential() if stride == 1 else _conv(inputs, outputs, 1, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.convnormrelu1(x))
        y = F.relu(self.convnormrelu2(y))
        y = F.relu(self.convnormrelu3(y))
        return F.relu(self.downsample(x) + y)


class _Encoder(nn.Module):
    """(B,3,H,W) -> (B,outputs,H/8,W/8)."""

    def __init__(self, config: RaftConfig, outputs: int, norm: Norm) -> None:
        super().__init__()
        widths = config.widths

        def stage(i: int, stride: int) -> nn.Sequential:
            first = _Block(widths[i - 1], widths[i], stride, norm, config.bottleneck)
            return nn.Sequential(first, _Block(widths[i], widths[i], 1, norm, config.bottleneck))

        self.convnormrelu = _conv(3, widths[0], 7, 2, norm)
        self.layer1, self.layer2, self.layer3 = stage(1, 1), stage(2, 2), stage(3, 2)
        self.conv = nn.Conv2d(widths[3], outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.layer3(self.layer2(self.layer1(F.relu(self.convnormrelu(x))))))


class _MotionEncoder(nn.Module):
    """Flow and what the correlations say at its end, as one."""

    def __init__(self, config: RaftConfig) -> None:
        super().__init__()
        looked_up = _LEVELS * (2 * config.radius + 1) ** 2
        first, *rest = config.correlation
        self.convcorr1 = _conv(looked_up, first, 1)
        self.convcorr2 = _conv(first, rest[0], 3) if rest else nn.Sequential()
        self.convflow1 = _conv(2, config.motion[0], 7)
        self.convflow2 = _conv(config.motion[0], config.motion[1], 3)
        self.conv = _conv(config.correlation[-1] + config.motion[1], config.motion[2] - 2, 3)

    def forward(self, flow: Tensor, correlation: Tensor) -> Tensor:
        found = F.relu(self.convcorr2(F.relu(self.convcorr1(correlation))))
        moved = F.relu(self.convflow2(F.relu(self.convflow1(flow))))
        return torch.cat([F.relu(self.conv(torch.cat([found, moved], dim=1))), flow], dim=1)


class _ConvGru(nn.Module):
    def __init__(self, inputs: int, hidden: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.convz = nn.Conv2d(hidden + inputs, hidden, kernel, padding=padding)
        self.convr = nn.Conv2d(hidden + inputs, hidden, kernel, padding=padding)
        self.convq = nn.Conv2d(hidden + inputs, hidden, kernel, padding=padding)

    def forward(self, state: Tensor, x: Tensor) -> Tensor:
        both = torch.cat([state, x], dim=1)
        new, keep = torch.sigmoid(self.convz(both)), torch.sigmoid(self.convr(both))
        proposed = torch.tanh(self.convq(torch.cat([keep * state, x], dim=1)))
        return torch.lerp(state, proposed, new)


class _RecurrentBlock(nn.Module):
    def __init__(self, inputs: int, config: RaftConfig) -> None:
        super().__init__()
        self.convgru2: _ConvGru | None = None
        if config.large:
            self.convgru1 = _ConvGru(inputs, config.hidden, (1, 5))
            self.convgru2 = _ConvGru(inputs, config.hidden, (5, 1))
        else:
            self.convgru1 = _ConvGru(inputs, config.hidden, (3, 3))

    def forward(self, state: Tensor, x: Tensor) -> Tensor:
        state = self.convgru1(state, x)
        return state if self.convgru2 is None else self.convgru2(state, x)


class _FlowHead(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 2, 3, padding=1)

    def forward(self, state: Tensor) -> Tensor:
        return self.conv2(F.relu(self.conv1(state)))


class _UpdateBlock(nn.Module):
    def __init__(self, config: RaftConfig) -> None:
        super().__init__()
        self.motion_encoder = _MotionEncoder(config)
        self.recurrent_block = _RecurrentBlock(config.context - config.hidden + config.motion[2], config)
        self.flow_head = _FlowHead(config.hidden, config.head)


class _MaskPredictor(nn.Module):
    """For each of the 8x8 pixels of a feature the weights of the 3x3 flows around it, before softmax."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.convrelu = _conv(hidden, 256, 3)
        self.conv = nn.Conv2d(256, 9 * _SCALE**2, 1)

    def forward(self, state: Tensor) -> Tensor:
        return 0.25 * self.conv(F.relu(self.convrelu(state)))


class RAFT(nn.Module):
    """Optical flow between two pictures.

    Args:
        config: ``LARGE`` or ``SMALL``.
    """

    def __init__(self, config: RaftConfig = LARGE) -> None:
        super().__init__()
        self.config = config
        self.feature_encoder = _Encoder(config, config.widths[4], "instance")
        self.context_encoder = _Encoder(config, config.context, config.context_norm)
        self.update_block = _UpdateBlock(config)
        self.mask_predictor = _MaskPredictor(config.hidden) if config.large else None

    def forward(self, reference: Tensor, support: Tensor, iterations: int = ITERATIONS, centred: bool = True) -> Tensor:
        """flow(reference -> support): where the pixels of ``reference`` are in ``support``.

        Memory: for each pair 5.3 bytes x (H W / 64)^2 of correlations, half a gigabyte at 768x768.

        Args:
            reference: (B,3,H,W) RGB in [0,1]; sides that are no multiple of 8, or below 128, are padded.
            support: the same shape.
            iterations: how often the flow is improved.
            centred: bring the pictures to [-1,1], as the network was trained; MGLD-VSR leaves them in [0,1].

        Returns:
            (B,2,H,W), x then y, in pixels; see ``warp`` for the convention.

        Raises:
            ShapeError: the two shapes differ.
        """
        if reference.shape != support.shape:
            raise ShapeError(
                f"Expected two pictures of one shape, got {tuple(reference.shape)}, {tuple(support.shape)}."
            )
        height, width = reference.shape[-2:]
        first, second = (_padded(2 * x - 1 if centred else x) for x in (reference, support))
        features = self.feature_encoder(torch.cat([first, second]))
        correlations = _correlate(*features.chunk(2))
        hidden = self.config.hidden
        state, context = self.context_encoder(first).split([hidden, self.config.context - hidden], dim=1)
        state, context = torch.tanh(state), F.relu(context)
        flow = features.new_zeros(reference.shape[0], 2, *features.shape[-2:])
        for _ in range(iterations):
            found = _look_up(correlations, flow, self.config.radius)
            encoded = self.update_block.motion_encoder(flow, found)
            state = self.update_block.recurrent_block(state, torch.cat([context, encoded], dim=1))
            flow = flow + self.update_block.flow_head(state)
        return self._enlarged(flow, state)[..., :height, :width]

    def _enlarged(self, flow: Tensor, state: Tensor) -> Tensor:
        """(B,2,h,w) in pixels of the features -> (B,2,8h,8w) in pixels of the pictures."""
        if self.mask_predictor is None:
            return _SCALE * F.interpolate(flow, scale_factor=_SCALE, mode="bilinear", align_corners=True)
        height, width = flow.shape[-2:]
        weights = self.mask_predictor(state).unflatten(1, (9, _SCALE, _SCALE)).softmax(dim=1)  # (B,9,8,8,h,w)
        around = F.unfold(_SCALE * flow, 3, padding=1).view(-1, 2, 9, height, width)
        fine = torch.einsum("bnyxhw,bcnhw->bchywx", weights, around)
        return fine.reshape(-1, 2, _SCALE * height, _SCALE * width)


def _padded(x: Tensor) -> Tensor:
    """Repeat the border to the right and below until the network can take the picture."""
    bottom, right = (max(-(-side // _SCALE) * _SCALE, _LEAST_SIDE) - side for side in x.shape[-2:])
    return F.pad(x, (0, right, 0, bottom), mode="replicate")


def _correlate(first: Tensor, second: Tensor) -> list[Tensor]:
    """The correlations of every feature with all of the other picture, at four scales: (B*h*w,1,h',w') each.

    Averaging the other picture's features comes to the same as averaging correlations, and costs less.
    """
    queries = first.flatten(2).transpose(1, 2) / first.shape[1] ** 0.5  # (B,C,h,w) -> (B,h*w,C)
    levels = []
    for level in range(_LEVELS):
        if level:
            second = F.avg_pool2d(second, 2)
        levels.append((queries @ second.flatten(2)).view(-1, 1, *second.shape[-2:]))
    return levels


def _look_up(correlations: list[Tensor], flow: Tensor, radius: int) -> Tensor:
    """The correlations around where the flow points, (B,levels*(2*radius+1)^2,h,w)."""
    batch, _, height, width = flow.shape
    offsets = torch.arange(-radius, radius + 1, device=flow.device, dtype=flow.dtype)
    around = torch.stack(torch.meshgrid(offsets, offsets, indexing="ij"), dim=-1)  # x runs slowest, as published
    columns = torch.arange(width, device=flow.device) + flow[:, 0]
    rows = torch.arange(height, device=flow.device).view(-1, 1) + flow[:, 1]
    centres = torch.stack([columns, rows], dim=-1).view(-1, 1, 1, 2)
    found = []
    for level, correlation in enumerate(correlations):
        last = flow.new_tensor([correlation.shape[-1] - 1, correlation.shape[-2] - 1])
        grid = 2 * (centres / 2**level + around) / last - 1
        sampled = F.grid_sample(correlation, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
        found.append(sampled.view(batch, height, width, -1))
    return torch.cat(found, dim=-1).permute(0, 3, 1, 2)  # (B,h,w,N) -> (B,N,h,w)


def read_raft_config(state_dict: Mapping[str, Tensor]) -> RaftConfig:
    """Whether these weights, under our key names, are of the large or the small network."""
    return LARGE if "mask_predictor.conv.weight" in state_dict else SMALL
