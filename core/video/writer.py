"""Encoding frames to a video file, with exact timestamps and honest colour tags."""

import errno
import logging
from pathlib import Path
from types import TracebackType

import av
from av.video.stream import VideoStream
from torch import Tensor

from ..config import EncodeConfig
from ..durable import disk_full
from ..errors import EncoderError, OutputError, SettingError, ShapeError
from .color import HLG, PQ, from_rgb
from .encoder_options import carries_hdr
from .encoders import CONTAINERS, Encoder, VideoSpec, choose_encoder, mp4_options, open_context, set_up, stored_color
from .matroska import store_aspect
from .pool import TensorPool
from .source import silence_ffmpeg

logger = logging.getLogger(__name__)

_X265_DELAY = 2
_FAILURES = (av.error.FFmpegError, OSError)


class VideoWriter:
    """Encodes frames to a file as they come; a context manager.

    Leaving the block finishes the file; leaving it with an exception removes the file. Timestamps are stored exactly
    in mp4 and mov; Matroska and WebM round them to a millisecond. Peak memory: the encoder's look-ahead.

    Args:
        path: the file to write; the suffix names the container (mp4, mov, mkv, webm).
        spec: the stream.
        encode: codec, quality and bit depth.

    Attributes:
        notes: sentences for the user on what the file cannot say or hold.

    Raises:
        EncoderError, SettingError: from ``check_encoding``, or the encoder refuses the stream.
        DiskFullError: there is no room.
    """

    def __init__(self, path: Path, spec: VideoSpec, encode: EncodeConfig) -> None:
        self.path, self.spec = Path(path), spec
        self.notes: list[str] = []
        silence_ffmpeg()
        self._encoder = choose_encoder(self.path, spec, encode)
        self.color = stored_color(self._encoder, spec)
        self._last_pts: int | None = None
        self._durations: dict[int | None, int] = {}
        self._frames = 0
        self._pool = TensorPool()
        suffix = self.path.suffix.lower()
        self._take_notes()
        options = mp4_options(spec.time_base) if suffix in (".mp4", ".mov") else {}
        try:
            self._container = av.open(f"file:{self.path}", "w", format=CONTAINERS[suffix], container_options=options)
        except _FAILURES as error:
            raise self._failure(error) from error
        try:
            self._stream = self._add_stream(self._encoder, encode)
            open_context(self._stream.codec_context, self._encoder)
            self._container.start_encoding()
        except _FAILURES as error:
            self._discard()
            raise self._failure(error) from error
        except OutputError:
            self._discard()
            raise

    @property
    def pixel_format(self) -> str:
        """FFmpeg's name of the samples' format."""
        return self._encoder.pixel_format

    def _take_notes(self) -> None:
        if self.spec.color.transfer in (PQ, HLG) and "10" not in self.pixel_format and "48" not in self.pixel_format:
            self.notes.append("HDR in 8 bits shows steps in smooth areas; choose 10 bits, or let it follow the source.")
        if self.spec.color.transfer in (PQ, HLG) and self.spec.hdr is not None and not carries_hdr(self._encoder.name):
            self.notes.append(f"{self._encoder.name} leaves out the HDR mastering display and light levels; use hevc.")

    def _add_stream(self, encoder: Encoder, encode: EncodeConfig) -> VideoStream:
        spec = self.spec
        stream = self._container.add_stream(encoder.name, rate=spec.frame_rate, options=encoder.options)
        assert isinstance(stream, VideoStream)
        set_up(stream.codec_context, encoder, spec)
        stream.time_base = spec.time_base
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
            DiskFullError: there is no room.
        """
        expected = (3, self.spec.height, self.spec.width)
        if tuple(image.shape) != expected:
            raise ShapeError(f"Expected an image of shape {expected}, got {tuple(image.shape)}; resize it first.")
        if self._last_pts is not None and pts <= self._last_pts:
            raise SettingError(f"Expected a pts after {self._last_pts}, got {pts}; write frames in order.")
        self._last_pts = pts
        frame = from_rgb(image, self._encoder.pixel_format, self.color, self._pool)
        if self._encoder.stored_format != self._encoder.pixel_format:
            frame = frame.reformat(format=self._encoder.stored_format)
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
        except _FAILURES as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Finish the file.

        Raises:
            EncoderError: the encoder or the disk fails; the file is removed.
            DiskFullError: there is no room; the file is removed.
        """
        try:
            self._encode(None)
            self._container.close()
            self._store_aspect()
        except _FAILURES as error:
            self._discard()
            raise self._failure(error) from error
        except OutputError:
            self._discard()
            raise

    def _store_aspect(self) -> None:
        spec = self.spec
        if spec.sample_aspect_ratio == 1 or self.path.suffix.lower() not in (".mkv", ".webm"):
            return
        if not store_aspect(self.path, spec.height, spec.sample_aspect_ratio * spec.width / spec.height):
            self.notes.append("The file has no room to say that its pixels are not square; use mp4 or mov.")

    def _failure(self, error: av.error.FFmpegError | OSError) -> OutputError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return disk_full(self.path)
        return EncoderError(f"Expected to write {self.path}, got {error.strerror}; check folder, rights and disk.")

    def _discard(self) -> None:
        try:
            self._container.close()
        except (*_FAILURES, ValueError):
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
