"""An exported network, compiled for this CPU: TextOVSR whose convolutions OpenVINO runs."""

import copy
import threading
from functools import cache
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ...models.exported import ExportedTextOVSR
from ...models.text_ovsr import TextOVSR
from ..errors import MissingDependencyError

if TYPE_CHECKING:
    import openvino

_CORE = "basicvsr"


def require_openvino() -> None:
    """Make sure that OpenVINO is there.

    Raises:
        MissingDependencyError: it is not.
    """
    try:
        import openvino  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "Expected the package openvino for exported networks, found none; install it with pip install openvino, or "
            "choose weights that were not exported."
        ) from error


@cache
def _core() -> "openvino.Core":
    """The only one, for as long as the process lives.

    Each gives its thread a stack for signals, and gives back the one before when it goes. Of two that go in the order
    they came in, the second gives back the freed stack of the first: the next signal then ends the process.
    """
    import openvino

    return openvino.Core()


class _Graph(nn.Module):
    """A compiled graph as a module: (1,C,H,W) tensors on the CPU in, one out."""

    def __init__(self, model: "openvino.Model") -> None:
        super().__init__()
        # Of no number: callers ask a module's parameters what it computes in.
        self.precision = nn.Parameter(torch.empty(0), requires_grad=False)
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",  # never bfloat16 behind our back
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "ENABLE_CPU_PINNING": False,  # the encoder and other programs use these cores too
        }
        self._lock = threading.Lock()  # a request serves one caller at a time
        self._request = _core().compile_model(model, "CPU", settings).create_infer_request()

    def forward(self, *inputs: Tensor) -> Tensor:
        arrays = [x.contiguous().numpy() for x in inputs]
        with self._lock:
            return torch.from_numpy(self._request.infer(arrays, share_inputs=True)[0])


class CompiledTextOVSR(TextOVSR):
    """Stands in for ``TextOVSR`` wherever a clip is restored; attention, warping and text stay in PyTorch.

    Args:
        exported: what to compile.

    Raises:
        MissingDependencyError: there is no OpenVINO.
    """

    def __init__(self, exported: ExportedTextOVSR) -> None:
        nn.Module.__init__(self)  # not TextOVSR's, which would make weights
        require_openvino()
        from .graphs import GraphBuilder

        build = GraphBuilder(exported.network, exported.quantized)
        self.config = exported.network.config
        self.image_cleaning = nn.Sequential(_Graph(build.blocks("image_cleaning")))
        self.basicvsr = copy.deepcopy(exported.network.basicvsr)
        core: nn.Module = self.basicvsr
        for name in ("backward_resblocks_layer10_po", "forward_resblocks_layer10_po"):
            setattr(core, name, _Graph(build.blocks(f"{_CORE}.{name}")))
        core.frame_extractor = nn.Sequential(_Graph(build.extractor(f"{_CORE}.frame_extractor")))
        for index, level in enumerate(self.basicvsr.spynet.basic_module):
            level.basic_module = _Graph(build.flow_level(f"{_CORE}.spynet.basic_module.{index}.basic_module"))
        self._reconstruction = _Graph(build.reconstruction(_CORE))

    def reconstruct(self, backward: Tensor, forward: Tensor, cleaned: Tensor) -> Tensor:
        """See ``TextOVSR.reconstruct``; N is 1."""
        return self._reconstruction(backward, forward, cleaned)


_compiling = threading.Lock()
_compiled: WeakKeyDictionary[ExportedTextOVSR, CompiledTextOVSR] = WeakKeyDictionary()


def compile_network(exported: ExportedTextOVSR) -> CompiledTextOVSR:
    """Compile a network, which takes a second, once for as long as somebody holds it.

    Raises:
        MissingDependencyError: there is no OpenVINO.
    """
    with _compiling:
        if exported not in _compiled:
            _compiled[exported] = CompiledTextOVSR(exported)
        return _compiled[exported]
