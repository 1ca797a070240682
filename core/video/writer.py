"""Encoding frames to a video file, with exact timestamps and honest colour tags."""

import logging
import math
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import torch
from av.video.stream import VideoStream
from torch import Tensor

from ..config import EncodeConfig
from ..errors import EncoderError, SettingError, ShapeError
from .color import ColorTags, from_rgb, tag_frame
from .source import silence_ffmpeg

logger = logging.getLogger(__name__)

_MIN_TIMESCALE = 10_000
_MAX_TIMESCALE = 2**31 - 1
_X265_DELAY = 2


@dataclass(frozen=True)
class VideoSpec:
    """The stream to be written.

    Attributes:
        width: pixels across.
        height: pixels down.
        time_base: seconds a tick of the timestamps given to ``write``.
        frame_rate: average frames a second; a hint for the encoder, timestamps decide.
        sample_aspect_ratio: width over height of a pixel.
        color: tags of the source; matrix and range are kept, RGB becomes BT.709.
        bit_depth: of the source; more than 8 gives a 10-bit file unless the configuration says otherwise.
    """

    width: int
    height: int
    time_base: Fraction
    frame_rate: Fraction
    sample_aspect_ratio: Fraction
    color: ColorTags
    bit_depth: int = 8
    hdr: object = None


@dataclass(frozen=True)
class _Codec:
    """One video codec: FFmpeg's encoders for it, best first, and where and how it is stored."""

    encoders: tuple[str, ...]
    suffixes: tuple[str, ...]
    subsampling: str = "420"
    odd_sizes: str = "444"
    depths: tuple[int, ...] = (8, 10)


_CODECS = {
    "h264": _Codec(("libx264",), (".mp4", ".mkv", ".mov")),
    "hevc": _Codec(("libx265",), (".mp4", ".mkv", ".mov")),
    "av1": _Codec(("libsvtav1", "libaom-av1"), (".mp4", ".mkv", ".webm"), odd_sizes="420"),
    "prores": _Codec(("prores_ks",), (".mov", ".mkv"), subsampling="422", depths=(10,)),
    "ffv1": _Codec(("ffv1",), (".mkv",), subsampling="444"),
}
CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}


def check_encoding(path: Path, encode: EncodeConfig) -> str:
    """Return the name of FFmpeg's encoder for ``encode`` in the container that the suffix of ``path`` names.

    Raises:
        EncoderError: the two do not go together, or this FFmpeg has no encoder for the codec.
        SettingError: ``crf`` is out of range.
    """
    suffix = Path(path).suffix.lower()
    codec = _CODECS.get(encode.codec)
    if codec is None:
        raise EncoderError(f"Expected a codec out of {', '.join(_CODECS)}, got {encode.codec!r}; choose one of them.")
    if suffix not in codec.suffixes:
        fitting = ", ".join(name for name, c in _CODECS.items() if suffix in c.suffixes) or "nothing"
        raise EncoderError(
            f"Expected {encode.codec} in {', '.join(codec.suffixes)}, got {suffix or 'no suffix'!r} ({path}); "
            f"rename the output, or choose a codec that {suffix or 'it'} holds: {fitting}."
        )
    if not 0 <= encode.crf <= 51:
        raise SettingError(f"Expected crf from 0 (lossless) to 51 (worst), got {encode.crf}; 16 looks like the source.")
    for name in codec.encoders:
        if name in av.codecs_available:
            return name
    raise EncoderError(
        f"Expected an encoder for {encode.codec} ({' or '.join(codec.encoders)}), got a PyAV without it; "
        "choose another codec, or install the PyAV wheel from PyPI."
    )


def choose_pixel_format(spec: VideoSpec, encode: EncodeConfig) -> str:
    """Return the pixel format of the result.

    4:2:0 and 4:2:2 need even sizes, so odd ones are stored in 4:4:4: nothing is cropped and nothing is lost.

    Raises:
        EncoderError: the codec cannot store a size that is odd.
    """
    codec = _CODECS[encode.codec]
    depth: int = encode.bit_depth or (10 if spec.bit_depth > 8 else 8)
    if depth not in codec.depths:
        depth = codec.depths[-1]
    odd = spec.width % 2 or (spec.height % 2 and codec.subsampling == "420")
    return f"yuv{codec.odd_sizes if odd else codec.subsampling}p" + ("10le" if depth == 10 else "")


class VideoWriter:
    """Encodes frames to a file as they come; a context manager.

    Leaving the block finishes the file; leaving it with an exception removes the file. Timestamps are stored exactly
    in mp4 and mov; Matroska and WebM round them to a millisecond. Peak memory: the encoder's look-ahead.

    Args:
        path: the file to write; the suffix names the container (mp4, mov, mkv, webm).
        spec: the stream.
        encode: codec, quality and bit depth.

    Raises:
        EncoderError, SettingError: from ``check_encoding``, or the encoder refuses the stream.
    """

    def __init__(self, path: Path, spec: VideoSpec, encode: EncodeConfig) -> None:
        self.path, self.spec = Path(path), spec
        self.notes: list[str] = []
        encoder = check_encoding(self.path, encode)
        silence_ffmpeg()
        os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 prints a page to stderr otherwise
        self.pixel_format = choose_pixel_format(spec, encode)
        self.color = spec.color.for_encoding()
        self._last_pts: int | None = None
        self._durations: dict[int | None, int] = {}
        self._frames = 0
        suffix = self.path.suffix.lower()
        if spec.sample_aspect_ratio != 1 and suffix in (".mkv", ".webm") and encode.codec not in ("h264", "hevc"):
            logger.warning("%s in %s cannot say that pixels are not square; use mp4 or h264.", encode.codec, suffix)
        options = mp4_options(spec.time_base) if suffix in (".mp4", ".mov") else {}
        self._container = av.open(f"file:{self.path}", "w", format=CONTAINERS[suffix], container_options=options)
        try:
            self._stream = self._add_stream(encoder, encode)
            self._container.start_encoding()
        except OSError as error:
            raise EncoderError(
                f"Expected to write {self.path}, got {error.strerror}; check folder and rights."
            ) from error
        except (av.error.FFmpegError, ValueError) as error:
            self._discard()
            raise EncoderError(
                f"Expected {encoder} to take {spec.width}x{spec.height} {self.pixel_format}, got {error}; "
                "choose another codec or size."
            ) from error

    def _add_stream(self, encoder: str, encode: EncodeConfig) -> VideoStream:
        spec = self.spec
        stream = self._container.add_stream(encoder, rate=spec.frame_rate, options=_options(encoder, encode, spec))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = spec.width, spec.height, self.pixel_format
        stream.codec_context.time_base = spec.time_base
        stream.time_base = spec.time_base
        stream.codec_context.sample_aspect_ratio = spec.sample_aspect_ratio
        stream.thread_type = "AUTO"  # PyAV asks for slices, which cost x264 both speed and quality
        tag_frame(stream.codec_context, self.color)
        if encode.codec == "hevc" and self.path.suffix.lower() in (".mp4", ".mov"):
            stream.codec_context.codec_tag = "hvc1"  # what Apple's players ask for
        return stream

    def write(self, image: Tensor, pts: int, duration: int = 0) -> None:
        """Encode one frame.

        Args:
            image: (3,H,W) RGB, any float type and device; values are clamped to [0,1].
            pts: presentation time in ticks of ``spec.time_base``, later than the frame before.
            duration: ticks it is shown; 0 if unknown.

        Raises:
            ShapeError: ``image`` is not (3, height, width).
            SettingError: ``pts`` is not later than the frame before.
            EncoderError: the encoder or the disk fails.
        """
        expected = (3, self.spec.height, self.spec.width)
        if tuple(image.shape) != expected:
            raise ShapeError(f"Expected an image of shape {expected}, got {tuple(image.shape)}; resize it first.")
        if self._last_pts is not None and pts <= self._last_pts:
            raise SettingError(f"Expected a pts after {self._last_pts}, got {pts}; write frames in order.")
        self._last_pts = pts
        frame = from_rgb(image, self.pixel_format, self.color)
        frame.pts, frame.time_base = pts, self.spec.time_base
        self._frames += 1
        if duration > 0:
            self._durations[pts] = duration
        self._encode(frame)

    def _encode(self, frame: av.VideoFrame | None) -> None:
        try:
            for packet in self._stream.encode(frame):
                # Encoders give every frame the average duration; the last one's is all a file keeps.
                packet.duration = self._durations.pop(packet.pts, packet.duration)
                if self._frames <= _X265_DELAY and self._stream.codec_context.name == "libx265":
                    packet.dts = packet.pts  # x265 leaves it uninitialised; so few frames are in order
                self._container.mux(packet)
        except av.error.FFmpegError as error:
            raise EncoderError(
                f"Expected to write {self.path}, got {error.strerror}; check the free space of the disk."
            ) from error

    def close(self) -> None:
        """Finish the file.

        Raises:
            EncoderError: the encoder or the disk fails; the file is removed.
        """
        try:
            self._encode(None)
            self._container.close()
        except av.error.FFmpegError as error:
            self._discard()
            raise EncoderError(
                f"Expected to finish {self.path}, got {error.strerror}; check the free space of the disk."
            ) from error
        except EncoderError:
            self._discard()
            raise

    def _discard(self) -> None:
        try:
            self._container.close()
        except (av.error.FFmpegError, ValueError):
            logger.debug("The unfinished %s could not be closed cleanly.", self.path)
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._discard()


def mp4_options(time_base: Fraction) -> dict[str, str]:
    """Return muxer options for mp4 and mov that keep timestamps of ``time_base`` exact, also a first one above 0.

    Raises:
        EncoderError: no time scale of 31 bits holds ``time_base``.
    """
    scale = time_base.denominator
    if scale > _MAX_TIMESCALE:
        raise EncoderError(f"Expected a time base of at most 31 bits, got {time_base}; write Matroska (.mkv) instead.")
    scale *= math.ceil(_MIN_TIMESCALE / scale)
    return {"movflags": "+faststart", "video_track_timescale": str(scale), "movie_timescale": str(scale)}


def library_version() -> str:
    """FFmpeg's version, on which an encoder's output depends."""
    return ".".join(map(str, av.library_versions["libavcodec"]))


def _options(encoder: str, encode: EncodeConfig, spec: VideoSpec) -> dict[str, str]:
    """Return the private options of an encoder."""
    if encoder == "libx264":
        # With AVX-512, x264 gives another picture from run to run, so that a resumed job would not match itself.
        repeatable = {"x264-params": "asm=avx2"} if torch.backends.cpu.get_cpu_capability() == "AVX512" else {}
        return {"crf": str(encode.crf), "preset": "medium", **repeatable}
    if encoder == "libx265":
        params = "log-level=error" + (":lossless=1" if encode.crf == 0 else "")
        return {"crf": str(encode.crf), "preset": "medium", "x265-params": params}
    if encoder == "libsvtav1":
        return {"crf": str(max(1, round(encode.crf * 63 / 51))), "preset": "8"}
    if encoder == "libaom-av1":
        return {"crf": str(round(encode.crf * 63 / 51)), "cpu-used": "6"}
    if encoder == "prores_ks":
        return {"profile": "hq" if spec.width % 2 == 0 else "4444", "vendor": "apl0"}
    return {"level": "3", "slicecrc": "1"}
