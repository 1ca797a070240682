"""``textovsr info``: what a video file holds."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .common import Outcome

if TYPE_CHECKING:
    from ..core.video.probe import StreamInfo, VideoInfo


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument("input", type=Path, metavar="IN", help="the video")


def run(options: argparse.Namespace) -> Outcome:
    """Describe a video."""
    from ..core.video.probe import probe

    info = probe(options.input)
    return Outcome(info.as_dict(), _describe_video(info))


def _describe_video(info: "VideoInfo") -> str:
    def words(stream: "StreamInfo") -> str:
        sound = f"{stream.channels} channels, {stream.sample_rate} Hz" if stream.channels else ""
        return ", ".join(filter(None, (stream.codec, stream.language, stream.title, sound)))

    length = "unknown" if info.duration is None else f"{float(info.duration):.3f} s"
    lines = [
        ("file", str(info.path)),
        ("container", info.container),
        ("video", f"{info.codec}, {info.width}x{info.height}, {info.pixel_format}, {info.bit_depth} bit"),
        ("rotation", f"{info.rotation} degrees" if info.rotation else ""),
        ("pixel aspect", str(info.sample_aspect_ratio) if info.sample_aspect_ratio != 1 else ""),
        ("frames", f"{info.frames or 'unknown'} at {float(info.frame_rate):.3f} fps on average"),
        ("duration", length),
        *(("audio", words(stream)) for stream in info.audio),
        *(("subtitles", words(stream)) for stream in info.subtitles),
        ("chapters", str(info.chapters) if info.chapters else ""),
    ]
    return "\n".join(f"{name:<13}{value}" for name, value in lines if value)
