"""The convolutional parts of TextOVSR as OpenVINO graphs of any height and width.

Only ``compiled`` imports this module: OpenVINO is optional.
"""

from collections.abc import Mapping

import numpy as np
import openvino as ov
from openvino import opset13 as ops
from torch import nn

from ...models.exported import Quantized
from ...models.text_ovsr import ResidualBlocks, TextOVSR

_LEVELS = 256
_UPSCALED = np.array([4.0, 4.0], np.float32)


class GraphBuilder:
    """Builds graphs of one network.

    Args:
        network: in float32.
        quantized: the convolutions in 8 bits, by name.
    """

    def __init__(self, network: TextOVSR, quantized: Mapping[str, Quantized]) -> None:
        self._network = network
        self._modules = dict(network.named_modules())
        self._quantized = quantized

    def blocks(self, name: str) -> ov.Model:
        """``ResidualBlocks``, followed by a convolution if the module of that name is such a pair."""
        module = self._modules[name]
        pair = isinstance(module, nn.Sequential)
        first = f"{name}.0" if pair else name
        blocks = self._modules[first]
        assert isinstance(blocks, ResidualBlocks)
        given = _input(blocks.inputs)
        x = _leaky(self._conv(given, f"{first}.main.0"))
        chain = blocks.main[2]
        assert isinstance(chain, nn.Sequential)
        for index in range(len(chain)):
            inner = ops.relu(self._conv(x, f"{first}.main.2.{index}.conv1"))
            x = ops.add(x, self._conv(inner, f"{first}.main.2.{index}.conv2"))
        return ov.Model([self._conv(x, f"{name}.1") if pair else x], [given], name)

    def extractor(self, name: str) -> ov.Model:
        """The features of a cleaned frame before any text."""
        given = _input(3)
        x = _leaky(self._conv(given, f"{name}.0"))
        return ov.Model([_leaky(self._conv(x, f"{name}.2"))], [given], name)

    def flow_level(self, name: str) -> ov.Model:
        """One level of SPyNet; ``name`` is that of its chain of convolutions."""
        given = x = _input(8)
        chain = self._modules[name]
        assert isinstance(chain, nn.Sequential)
        last = len(chain) - 1
        for index in range(last + 1):
            x = self._conv(x, f"{name}.{index}.conv")
            x = ops.relu(x) if index < last else x
        return ov.Model([x], [given], name)

    def reconstruction(self, name: str) -> ov.Model:
        """``TextOVSR.reconstruct``: backward and forward features and the cleaned frame."""
        channels = self._network.config.channels
        backward, forward, cleaned = _input(channels), _input(channels), _input(3)
        x = _leaky(self._conv(ops.concat([backward, forward], 1), f"{name}.fusion"))
        for layer, following in (("upsample1", "upsample2.upsample_conv"), ("upsample2", "conv_hr")):
            # Each number on its own, so that it may come before the shuffle, which then moves bytes.
            x = _leaky(self._conv(x, f"{name}.{layer}.upsample_conv"))
            x = ops.depth_to_space(self._rounded(x, f"{name}.{following}"), "depth_first", 2)
        x = self._conv(_leaky(self._conv(x, f"{name}.conv_hr")), f"{name}.conv_last")
        base = ops.interpolate(
            cleaned,
            ops.constant(_UPSCALED),
            "linear_onnx",
            "scales",
            coordinate_transformation_mode="half_pixel",
            axes=ops.constant(np.array([2, 3])),
        )
        return ov.Model([ops.add(x, base)], [backward, forward, cleaned], "reconstruction")

    def _conv(self, x: ov.Node, name: str) -> ov.Node:
        module = self._modules[name]
        assert isinstance(module, nn.Conv2d)
        assert module.bias is not None
        layer = self._quantized.get(name)
        if layer is None:
            weight = ops.constant(module.weight.detach().numpy())
        else:
            scale = ops.constant(layer.scale.view(-1, 1, 1, 1).numpy())
            weight = ops.multiply(ops.convert(ops.constant(layer.weight.numpy()), np.float32), scale)
        rim = list(module.padding)
        y = ops.convolution(self._rounded(x, name), weight, [1, 1], rim, rim, [1, 1])
        return ops.add(y, ops.constant(module.bias.detach().view(1, -1, 1, 1).numpy()))

    def _rounded(self, x: ov.Node, name: str) -> ov.Node:
        """The input of a convolution on its 256 levels; what is on them already stays."""
        layer = self._quantized.get(name)
        if layer is None:
            return x
        low, high = (ops.constant(np.float32(end)) for end in (layer.low, layer.high))
        return ops.fake_quantize(x, low, high, low, high, _LEVELS)


def _input(channels: int) -> ov.Node:
    return ops.parameter([1, channels, -1, -1], np.float32)


def _leaky(x: ov.Node) -> ov.Node:
    return ops.prelu(x, ops.constant(np.array([0.1], np.float32)))
