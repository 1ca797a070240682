"""Noise for windows that overlap: every window begins from the same noise frames."""

import torch
from comfy_api.latest import io
from torch import Tensor

from ..core.errors import SettingError
from ..core.overlaps import overlapping_windows, rescheduled_indices
from .latent_windows import Latent, frame_axis, frames_of, place_of
from .search_aliases import search_aliases


class RescheduledNoise(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_RescheduledNoise",
            display_name="Rescheduled Noise",
            category="TextOVSR/diffusion",
            description="Noise for the windows of Split Windows: frames that two windows share begin from the same "
            "noise, and every window sees the same noise frames, in an order shuffled by the seed. Windows become "
            "alike, and stitch without a jump.",
            **search_aliases("OVSR_RescheduledNoise"),
            inputs=[
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=2**64 - 1,
                    control_after_generate=True,
                    tooltip="The same seed gives the same noise, on any machine.",
                ),
                io.Int.Input("length", default=8, min=1, max=4096, tooltip="The length that Split Windows has."),
                io.Int.Input("overlap", default=4, min=0, max=4095, tooltip="The overlap that Split Windows has."),
            ],
            outputs=[io.Noise.Output(display_name="noise", tooltip="For SamplerCustomAdvanced, one for all windows.")],
        )

    @classmethod
    def execute(cls, seed: int, length: int, overlap: int) -> io.NodeOutput:
        """Make a source of noise; nothing is drawn before a sampler asks."""
        overlapping_windows(1, length, overlap)  # refused here, not in the sampler
        return io.NodeOutput(NoiseSource(seed, length, overlap))


class NoiseSource:
    """What the host's samplers ask for noise.

    Args:
        seed: of the noise and of the order of its frames.
        length: of windows.
        overlap: of windows.
    """

    def __init__(self, seed: int, length: int, overlap: int) -> None:
        self.seed, self._length, self._overlap = seed, length, overlap

    def generate_noise(self, input_latent: Latent) -> Tensor:
        """The noise of the frames of a window, or of a whole, on the CPU, of the shape and type of its samples.

        The first frames of the whole get what the host's own noise would give them alone. Memory beside the result: a
        window.

        Raises:
            SettingError: the window was split with another length or overlap.
        """
        samples = input_latent["samples"]
        axis, count = frame_axis(input_latent), frames_of(input_latent)
        place, total = place_of(input_latent) or (range(count), count)
        self._check(place, total)
        indices = rescheduled_indices(total, self._length, self._overlap, self.seed)
        shape = list(samples.shape)
        shape[axis] = min(total, self._length)
        generator = torch.Generator("cpu").manual_seed(self.seed)
        base = torch.randn(shape, dtype=samples.dtype, layout=samples.layout, generator=generator, device="cpu")
        return base.index_select(axis, torch.tensor(indices[place.start : place.stop]))

    def _check(self, place: range, total: int) -> None:
        planned = overlapping_windows(total, self._length, self._overlap)
        if place not in (*planned, range(total)):
            raise SettingError(
                f"Expected windows of {self._length} frames with an overlap of {self._overlap}, got frames "
                f"{place.start} to {place.stop - 1} of {total}; set the length and the overlap of Split Windows."
            )
