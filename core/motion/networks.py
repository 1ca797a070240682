"""Flow networks: the shipped one, and those on the user's disk."""

from safetensors import safe_open

from ...models.catalog import find_weights
from ...models.spynet import SPyNet

_HOLDER, _PREFIX = "textovsr-base", "basicvsr.spynet."


def load_spynet() -> SPyNet:
    """The optical flow of the shipped weights, on the CPU; nothing of the rest is read.

    It is that of textovsr-base, which finds a shift to a twentieth of a pixel; that of textovsr-lite learnt to serve
    its own upscaler, and is off by about one.

    Raises:
        DamagedWeightsError: the file is not the one that was shipped.
    """
    with safe_open(find_weights(_HOLDER, []), framework="pt") as file:
        keys = [key for key in file.keys() if key.startswith(_PREFIX)]  # noqa: SIM118 - not a mapping
        state = {key.removeprefix(_PREFIX): file.get_tensor(key).float() for key in keys}
    network = SPyNet(levels=len({key.split(".")[1] for key in state if key.startswith("basic_module.")}))
    network.load_state_dict(state)
    return network.eval().requires_grad_(False)
