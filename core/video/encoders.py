"""Which encoder makes a stream, in what container, from which samples, with which options."""

import math
import os
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import cast

import av
from av.video.codeccontext import VideoCodecContext

from ..config import PRESETS, EncodeConfig
from ..errors import EncoderError, SettingError
from .color import HLG, PQ, ColorTags, tag_frame
from .encoder_options import hardware_options, software_options
from .hdr import HdrMetadata
from .priority import ordinary_priority
from .probe import VideoInfo
from .source import silence_ffmpeg

CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}

_MIN_TIMESCALE = 10_000
_MAX_TIMESCALE = 2**31 - 1


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
        bit_depth: of the source; more than 8, or HDR, gives a 10-bit file unless the configuration says otherwise.
        hdr: static HDR metadata of the source.
    """

    width: int
    height: int
    time_base: Fraction
    frame_rate: Fraction
    sample_aspect_ratio: Fraction
    color: ColorTags
    bit_depth: int = 8
    hdr: HdrMetadata | None = None


def spec_like(info: VideoInfo, width: int, height: int) -> VideoSpec:
    """A stream of another size with the times, colours, depth and pixel shape of ``info``."""
    return VideoSpec(
        width=width,
        height=height,
        time_base=info.time_base,
        frame_rate=info.frame_rate,
        sample_aspect_ratio=info.sample_aspect_ratio,
        color=info.color,
        bit_depth=info.bit_depth,
        hdr=info.hdr,
    )


@dataclass(frozen=True)
class Encoder:
    """An encoder of FFmpeg and how it is to be used.

    Attributes:
        name: FFmpeg's.
        pixel_format: what frames are made in.
        stored_format: what the encoder takes; the same samples, for hardware in another order.
        options: its private options.
    """

    name: str
    pixel_format: str
    stored_format: str
    options: dict[str, str]


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
    "png": _Codec(("png",), (".mov",)),
}

_HIGHEST_RATE = {"libsvtav1": Fraction(240)}
"""Frames a second that an encoder takes; a hint to it, times decide."""

_HARDWARE = ("nvenc", "qsv", "amf", "videotoolbox")
"""Families of encoders in graphics cards and processors, in the order they are tried."""


def check_encoding(path: Path, encode: EncodeConfig) -> str:
    """Return the name of FFmpeg's encoder for ``encode`` in the container that the suffix of ``path`` names.

    Raises:
        EncoderError: the two do not go together, or this machine has no encoder for the codec.
        SettingError: ``crf`` or ``preset`` is out of range.
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
    if encode.preset and encode.preset not in PRESETS:
        raise SettingError(f"Expected a preset out of {', '.join(PRESETS)}, got {encode.preset!r}; choose one of them.")
    if encode.hardware:
        return _hardware_encoder(encode.codec, 10 if encode.bit_depth == 10 else 8)
    for name in codec.encoders:
        if name in av.codecs_available:
            return name
    raise EncoderError(
        f"Expected an encoder for {encode.codec} ({' or '.join(codec.encoders)}), got a PyAV without it; "
        "choose another codec, or install the PyAV wheel from PyPI."
    )


def check_output(output: Path, encode: EncodeConfig) -> None:
    """Check that ``encode`` can become ``output``: a file whose suffix is a container, or for ``png`` a folder.

    Raises:
        EncoderError, SettingError: as ``check_encoding``.
    """
    if encode.codec != "png":
        check_encoding(output, encode)
    elif output.suffix.lower() in CONTAINERS:
        raise EncoderError(
            f"Expected the name of a folder for pictures, got {output}; leave out {output.suffix}, or choose a codec "
            "for a video."
        )


def choose_encoder(path: Path, spec: VideoSpec, encode: EncodeConfig) -> Encoder:
    """Choose encoder, pixel format and options for a stream.

    4:2:0 and 4:2:2 need even sizes, so odd ones are stored in 4:4:4: nothing is cropped and nothing is lost.

    Raises:
        EncoderError, SettingError: as ``check_encoding``.
    """
    codec = _CODECS.get(encode.codec)
    name = check_encoding(path, encode)
    assert codec is not None
    deep = spec.bit_depth > 8 or spec.color.transfer in (PQ, HLG)
    depth: int = encode.bit_depth or (10 if deep else 8)
    if depth not in codec.depths:
        depth = codec.depths[-1]
    odd = spec.width % 2 or (spec.height % 2 and codec.subsampling == "420")
    if encode.hardware:
        if odd:
            raise EncoderError(
                f"Expected even sizes for an encoder in hardware, got {spec.width}x{spec.height}; switch hardware off."
            )
        name = _hardware_encoder(encode.codec, depth)
        planar = "yuv420p10le" if depth == 10 else "yuv420p"
        return Encoder(name, planar, _hardware_format(name, depth), hardware_options(name, encode))
    if encode.codec == "png":
        pixel_format = "rgb48be" if depth == 10 else "rgb24"
    else:
        pixel_format = f"yuv{codec.odd_sizes if odd else codec.subsampling}p" + ("10le" if depth == 10 else "")
    hdr = spec.hdr if spec.color.transfer in (PQ, HLG) else None
    options = software_options(name, encode, (spec.width, spec.height), depth, hdr)
    return Encoder(name, pixel_format, pixel_format, options)


def check_stream(spec: VideoSpec, encode: EncodeConfig) -> None:
    """Open the encoder of a stream and throw it away, so that what it refuses is known before any work.

    Raises:
        EncoderError: it does not take this size or format.
        EncoderError, SettingError: as ``check_encoding``.
    """
    silence_ffmpeg()
    codec = _CODECS.get(encode.codec)
    encoder = choose_encoder(Path(f"a{codec.suffixes[0] if codec else ''}"), spec, encode)
    context = cast(VideoCodecContext, av.CodecContext.create(encoder.name, "w"))
    set_up(context, encoder, spec)
    context.options = dict(encoder.options)
    open_context(context, encoder)


def set_up(context: VideoCodecContext, encoder: Encoder, spec: VideoSpec) -> None:
    """Tell an encoder's context what it will be given."""
    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 prints a page to stderr otherwise
    context.width, context.height, context.pix_fmt = spec.width, spec.height, encoder.stored_format
    most = _HIGHEST_RATE.get(encoder.name, spec.frame_rate)
    context.time_base, context.framerate = spec.time_base, min(spec.frame_rate, most)
    context.sample_aspect_ratio = spec.sample_aspect_ratio
    context.thread_type = "AUTO"  # PyAV asks for slices, which cost x264 both speed and quality
    if not encoder.pixel_format.startswith("rgb"):
        tag_frame(context, stored_color(encoder, spec))


def stored_color(encoder: Encoder, spec: VideoSpec) -> ColorTags:
    """The meaning of the samples that an encoder is given: that of the source's; ProRes has no full range."""
    color = spec.color.for_encoding()
    return replace(color, full_range=False) if encoder.name == "prores_ks" else color


def open_context(context: VideoCodecContext, encoder: Encoder) -> None:
    """Open an encoder.

    Raises:
        EncoderError: it refuses the stream.
    """
    size = f"{context.width}x{context.height}"  # a refused context forgets it
    try:
        with ordinary_priority():
            context.open()
    except (av.error.FFmpegError, ValueError) as error:
        raise EncoderError(
            f"Expected {encoder.name} to take {size} {encoder.stored_format}, got {getattr(error, 'strerror', error)}; "
            "choose another codec or size."
        ) from error


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


def _hardware_encoder(codec: str, depth: int) -> str:
    """The first encoder in hardware that really opens.

    Raises:
        EncoderError: there is none.
    """
    names = [f"{codec}_{family}" for family in _HARDWARE]
    for name in names:
        if name in av.codecs_available and _opens(name, _hardware_format(name, depth)):
            return name
    raise EncoderError(
        f"Expected an encoder in hardware for {codec} with {depth} bits ({', '.join(names)}), found none that opens on "
        "this machine; switch hardware off, or choose h264, hevc or av1 with 8 bits."
    )


def _opens(name: str, pixel_format: str) -> bool:
    try:
        _open_once(name, pixel_format)
    except (av.error.FFmpegError, ValueError):
        return False
    return True


@lru_cache(maxsize=32)
def _open_once(name: str, pixel_format: str) -> None:
    """Open an encoder; what fails is tried again the next time, since others may have held all that a card has."""
    silence_ffmpeg()
    context = cast(VideoCodecContext, av.CodecContext.create(name, "w"))
    context.width, context.height, context.pix_fmt = 256, 256, pixel_format
    context.time_base = Fraction(1, 25)
    context.open()


def _hardware_format(name: str, depth: int) -> str:
    return "p010le" if depth == 10 else "yuv420p" if name.endswith("nvenc") else "nv12"
