"""Frames through a real video encoder and back, in memory: the compression part of synthetic degradations."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import numpy as np
import torch
from av.video.codeccontext import VideoCodecContext
from torch import Tensor

from ..errors import EncoderError, SettingError
from .source import silence_ffmpeg

_FRAME_RATE = Fraction(25)

_X264 = {"preset": "veryfast", "x264-params": "mbtree=0"}
"""Without macroblock trees: with them, x264 on AVX-512 gives another file from run to run."""

_DV = {(576, 720): ("yuv420p", Fraction(25)), (480, 720): ("yuv411p", Fraction(30000, 1001))}
"""DV knows two pictures, by height and width: PAL and NTSC."""

_FAILURES = (av.error.FFmpegError, ValueError)


@dataclass(frozen=True)
class Compression:
    """An FFmpeg encoder and how hard it presses.

    At most one of ``crf``, ``bits_per_pixel`` and ``quantizer`` is set; ``dvvideo`` needs none, as its rate is fixed.

    Attributes:
        codec: for example ``libx264``, ``mpeg4``, ``mpeg2video``, ``mjpeg``, ``dvvideo``.
        crf: constant quality of x264.
        bits_per_pixel: the mean bit rate.
        quantizer: the constant quantiser of MPEG encoders and of Motion JPEG, 2 (best) to 31.
        profile: of x264, for example ``baseline``: neither B frames nor arithmetic coding.
        gop: frames from one key frame to the next; 1 makes every frame one, 0 leaves it to the encoder.
        buffered: the rate holds for every two seconds, as a stream's does, so that quality drops where much moves.
    """

    codec: str
    crf: float | None = None
    bits_per_pixel: float | None = None
    quantizer: int | None = None
    profile: str = ""
    gop: int = 0
    buffered: bool = False

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.crf, self.bits_per_pixel, self.quantizer)) > 1:
            raise SettingError(f"Expected one of crf, bits_per_pixel and quantizer, got {self}; leave out the others.")


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
        EncoderError: the encoder is unknown, does not take this size or gave back another number of frames.
    """
    return torch.stack(list(recompress_stream(clip, Compression(codec, crf, bits_per_pixel))))


def recompress_stream(frames: Iterable[Tensor], how: Compression) -> Iterator[Tensor]:
    """Encode and decode frames as they come, in one run of the encoder from the first to the last.

    Peak memory: the frames that the encoder holds back, about 20 for x264.

    Args:
        frames: (3,H,W) RGB in [0,1], all of one size; odd sides are padded for the codec and cropped again.
        how: the encoder.

    Yields:
        (3,H,W), as many as came, on the device and in the dtype of the first.

    Raises:
        EncoderError: the encoder is unknown, does not take this size or gave back another number of frames.
    """
    coder, first, sent, received = None, None, 0, 0
    for image in frames:
        if coder is None:
            coder, first = _Coder(how, image.shape[-2], image.shape[-1]), image
        sent += 1
        for decoded in coder.push(image):
            received += 1
            yield decoded.to(image)
    if coder is None or first is None:
        return
    for decoded in coder.finish():
        received += 1
        yield decoded.to(first)
    if received != sent:
        raise EncoderError(f"Expected {sent} frames back from {how.codec}, got {received}; try another codec.")


class _Coder:
    """An encoder whose packets go straight into its decoder."""

    def __init__(self, how: Compression, height: int, width: int) -> None:
        silence_ffmpeg()
        self._how, self._size = how, (height, width)
        padded = height + height % 2, width + width % 2
        self._format, rate = _DV.get(padded, ("yuv420p", _FRAME_RATE)) if how.codec == "dvvideo" else _stream(how)
        try:
            self._encoder = cast(VideoCodecContext, av.CodecContext.create(how.codec, "w"))
            decoder = self._encoder.codec.canonical_name
            self._decoder = cast(VideoCodecContext, av.CodecContext.create(decoder, "r"))
        except _FAILURES as error:
            raise EncoderError(f"Expected an encoder this FFmpeg has, got {how.codec!r}: {error}.") from error
        self._encoder.height, self._encoder.width = padded
        self._encoder.pix_fmt = self._format
        self._encoder.time_base, self._encoder.framerate = 1 / rate, rate
        self._encoder.thread_count = self._decoder.thread_count = 1
        if how.bits_per_pixel is not None:
            self._encoder.bit_rate = self._rate
            self._encoder.bit_rate_tolerance = self._rate  # FFmpeg lets MPEG encoders miss by 4 Mbit otherwise
        self._encoder.options = self._options()
        self._count = 0
        try:
            self._encoder.open()
        except _FAILURES as error:
            raise EncoderError(f"Expected {how.codec} to take {width}x{height}, got {error}; resize it.") from error

    @property
    def _rate(self) -> int:
        bits = (self._how.bits_per_pixel or 0.0) * self._encoder.width * self._encoder.height
        return int(bits * _FRAME_RATE)

    def _options(self) -> dict[str, str]:
        how = self._how
        options = dict(_X264) if how.codec == "libx264" else {}
        if how.crf is not None:
            options["crf"] = f"{how.crf:.2f}"
        if how.quantizer is not None:
            options |= {"qmin": str(how.quantizer), "qmax": str(how.quantizer)}
        if how.profile:
            options["profile"] = how.profile
        if how.gop:
            options["g"] = str(how.gop)
        if how.buffered:
            options |= {"maxrate": str(self._rate), "bufsize": str(2 * self._rate)}
        return options

    def push(self, image: Tensor) -> Iterator[Tensor]:
        """Take a frame and yield what comes back."""
        height, width = self._size
        pixels = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()  # (C,H,W) -> (H,W,C)
        pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=self._format)
        frame.pts, frame.time_base = self._count, self._encoder.time_base
        self._count += 1
        for packet in self._encoder.encode(frame):
            yield from self._decode(packet)

    def finish(self) -> Iterator[Tensor]:
        """Yield what is left."""
        for packet in self._encoder.encode(None):
            yield from self._decode(packet)
        yield from self._decode(None)

    def _decode(self, packet: "av.Packet[av.VideoStream] | None") -> Iterator[Tensor]:
        height, width = self._size
        for frame in self._decoder.decode(packet):
            pixels = torch.from_numpy(frame.to_ndarray(format="rgb24")[:height, :width])
            yield pixels.permute(2, 0, 1).float() / 255.0  # (H,W,C) -> (C,H,W)


def _stream(how: Compression) -> tuple[str, Fraction]:
    return ("yuvj420p" if how.codec == "mjpeg" else "yuv420p"), _FRAME_RATE
