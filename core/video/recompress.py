"""A clip through a real video encoder and back, in memory: the compression part of synthetic degradations."""

import io
from typing import cast

import av
import numpy as np
import torch
from av.video.stream import VideoStream
from torch import Tensor

from ..errors import EncoderError

_FRAME_RATE = 25

_X264 = {"preset": "veryfast", "x264-params": "mbtree=0"}
"""Without macroblock trees: with them, x264 on AVX-512 gives another file from run to run."""


def recompress(clip: Tensor, codec: str, *, crf: float | None = None, bits_per_pixel: float | None = None) -> Tensor:
    """Encode and decode a clip in 8-bit 4:2:0.

    Args:
        clip: (T,3,H,W) RGB in [0,1]; odd sides are padded for the codec and cropped again.
        codec: an FFmpeg video encoder, for example ``libx264``, ``mpeg4``, ``mpeg2video``.
        crf: constant quality, for encoders that know it.
        bits_per_pixel: the bit rate, when ``crf`` is not given.

    Returns:
        (T,3,H,W), the device and dtype of ``clip``.

    Raises:
        EncoderError: the encoder is unknown or gave back another number of frames.
    """
    t, _, height, width = clip.shape
    frames = (clip.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()  # (T,C,H,W) -> (T,H,W,C)
    frames = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    buffer = io.BytesIO()
    _encode(buffer, frames, codec, crf, bits_per_pixel)
    buffer.seek(0)
    with av.open(buffer, "r") as container:
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    if len(decoded) != t:
        raise EncoderError(f"Expected {t} frames back from {codec}, got {len(decoded)}; try another codec.")
    result = torch.from_numpy(np.stack(decoded)[:, :height, :width])
    return (result.permute(0, 3, 1, 2).float() / 255.0).to(clip)  # (T,H,W,C) -> (T,C,H,W)


def _encode(
    buffer: io.BytesIO, frames: np.ndarray, codec: str, crf: float | None, bits_per_pixel: float | None
) -> None:
    try:
        container = av.open(buffer, "w", format="matroska")
        stream = cast(VideoStream, container.add_stream(codec, rate=_FRAME_RATE))
    except (av.error.FFmpegError, ValueError) as error:
        raise EncoderError(f"Expected an encoder this FFmpeg has, got {codec!r}: {error}.") from error
    with container:
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        options: dict[str, object] = dict(_X264) if codec == "libx264" else {}
        if crf is not None:
            options["crf"] = f"{crf:.2f}"
        else:
            stream.bit_rate = int((bits_per_pixel or 1.0) * frames.shape[1] * frames.shape[2] * _FRAME_RATE)
        stream.options = options
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
