"""``textovsr info``: what a video file holds."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from .common import Outcome

if TYPE_CHECKING:
    from ..core.video.probe import StreamInfo, VideoInfo
    from ..core.video.scan import Scan


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument("input", type=Path, metavar="IN", help="the video")


def run(options: argparse.Namespace) -> Outcome:
    """Describe a video."""
    from ..core.video.probe import probe
    from ..core.video.scan import scan

    info = probe(options.input)
    found = scan(info)
    return Outcome({**info.as_dict(), "scan": asdict(found)}, _describe_video(info, found))


def _describe_video(info: "VideoInfo", found: "Scan") -> str:
    def words(stream: "StreamInfo") -> str:
        sound = f"{stream.channels} channels, {stream.sample_rate} Hz" if stream.channels else ""
        return ", ".join(filter(None, (stream.codec, stream.language, stream.title, sound)))

    length = "unknown" if info.duration is None else f"{float(info.duration):.3f} s"
    lines = [
        ("file", str(info.path)),
        ("container", info.container),
        ("video", f"{info.codec}, {info.width}x{info.height}, {info.pixel_format}, {info.bit_depth} bit"),
        ("scan", found.sentence),
        ("HDR", "mastering display and light levels are told" if info.hdr else ""),
        ("rotation", f"{info.rotation} degrees" if info.rotation else ""),
        ("pixel aspect", str(info.sample_aspect_ratio) if info.sample_aspect_ratio != 1 else ""),
        ("frames", f"{info.frames or 'unknown'} at {float(info.frame_rate):.3f} fps on average"),
        ("duration", length),
        *(("audio", words(stream)) for stream in info.audio),
        *(("subtitles", words(stream)) for stream in info.subtitles),
        ("chapters", str(info.chapters) if info.chapters else ""),
    ]
    return "\n".join(f"{name:<13}{value}" for name, value in lines if value)
