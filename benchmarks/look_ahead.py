"""How far must the backward pass look ahead? Streaming against the whole clip at once, on the validation clips.

``python benchmarks/look_ahead.py``: for each look-ahead the largest loss of PSNR-Y, the mean difference of the frames,
and the warping error across window borders relative to that inside windows; then time and memory.
"""

import time

import torch
from common import CLIPS, KINDS, load_lite, machine, read_clip, run, table

from textovsr.core.config import LOOK_AHEAD, RecurrentConfig
from textovsr.core.quality.fidelity import psnr_y
from textovsr.core.quality.temporal import warping_errors
from textovsr.models.text_ovsr import TextOVSR

FRAMES, WINDOW = 24, 6
LOOK_AHEADS = (0, 2, 4, 8, 12)


def borders(errors: list[float], whole: list[float]) -> float:
    """Warping error across borders over that inside windows, each relative to the whole clip's at the same places."""
    at = [i for i in range(len(errors)) if (i + 1) % WINDOW == 0]
    inside = [i for i in range(len(errors)) if (i + 1) % WINDOW]

    def ratio(places: list[int]) -> float:
        return sum(errors[i] for i in places) / sum(whole[i] for i in places)

    return ratio(at) / ratio(inside)


def main() -> None:
    """Print the table."""
    network = load_lite()
    print(f"{machine()}; textovsr-lite, windows of {WINDOW}, {FRAMES} frames; default look-ahead {LOOK_AHEAD}\n")
    rows = []
    for look_ahead in LOOK_AHEADS:
        for fade in (0, 4) if look_ahead else (0,):
            rows.append(measure(network, RecurrentConfig(window=WINDOW, look_ahead=look_ahead, fade=fade)))
    head = ("look-ahead", "fade", "worst PSNR-Y loss", "mean difference /255", "border / inside", "s a frame")
    table(head, rows)


_WHOLE: dict[str, tuple[torch.Tensor, list[float]]] = {}


def measure(network: TextOVSR, config: RecurrentConfig) -> list[str]:
    """One row."""
    losses, differences, ratios, seconds = [], [], [], 0.0
    for clip in CLIPS:
        hr = read_clip(f"{clip}_hr", FRAMES)
        for kind in KINDS:
            lr = read_clip(f"{clip}_lr_{kind}", FRAMES)
            with torch.inference_mode():
                if clip + kind not in _WHOLE:
                    frames = run(network, lr, RecurrentConfig(window=FRAMES, look_ahead=0, fade=0))
                    _WHOLE[clip + kind] = frames, warping_errors(frames, hr, network.basicvsr.spynet)
                whole, whole_errors = _WHOLE[clip + kind]
                began = time.perf_counter()
                streamed = run(network, lr, config)
                seconds += time.perf_counter() - began
                errors = warping_errors(streamed, hr, network.basicvsr.spynet)
            losses.append(psnr_y(whole, hr) - psnr_y(streamed, hr))
            differences.append(float((whole - streamed).abs().mean()) * 255)
            ratios.append(borders(errors, whole_errors))
    count = len(losses)
    return [
        str(config.look_ahead),
        str(config.fade),
        f"{max(losses):.3f} dB",
        f"{sum(differences) / count:.2f}",
        f"{max(ratios):.3f}",
        f"{seconds / count / FRAMES:.2f}",
    ]


if __name__ == "__main__":
    main()
