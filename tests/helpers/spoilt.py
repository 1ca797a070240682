"""Small videos of which one frame may be spoilt, for what measures quality."""

from pathlib import Path

import av
import numpy as np

SIZE = (96, 64)
FRAMES = 8
BAD = 5
"""The frame that is spoilt."""


def picture(number: int) -> np.ndarray:
    """A texture that moves a pixel a frame, (64,96,3) uint8."""
    rng = np.random.default_rng(1)
    wide = rng.integers(60, 190, (SIZE[1] // 4, SIZE[0] // 4 + 8)).repeat(4, 0).repeat(4, 1)
    return np.repeat(wide[:, number : number + SIZE[0], None], 3, axis=2).astype(np.uint8)


def write(path: Path, spoilt: bool, frames: int = FRAMES, size: tuple[int, int] = SIZE) -> Path:
    """Write the frames without loss, ten a second; one of them may be grey instead."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, "bgr0"
        for number in range(frames):
            image = picture(number)[: size[1], : size[0]].copy()
            if spoilt and number == BAD:
                image = np.full_like(image, 120)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode(None))
    return path
