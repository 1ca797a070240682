"""Make the two bundled clips from the originals that Debian ships: ``make_examples.py tree.avi movie1.mp4 clips/``.

Neither is damaged beyond what a webcam of its time or a messenger does; ``clips/README.md`` names origin, licence
and every change.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

WEBCAM_PACKETS = range(50, 66)
"""From a key frame on: a hand passes in front of a tree."""

PHONE_SIZE = (320, 180)
PHONE_CRF = "30"


def copy_excerpt(source: Path, target: Path, packets: range) -> None:
    """Copy some packets of the video stream as they are; the first one becomes time 0, the gaps stay."""
    with av.open(str(source)) as original, av.open(str(target), "w") as excerpt:
        stream = excerpt.add_stream_from_template(original.streams.video[0])
        wanted = [packet for packet in original.demux(video=0) if packet.pts is not None][packets.start : packets.stop]
        start = wanted[0].dts or 0
        for packet in wanted:
            packet.stream = stream
            packet.pts = packet.dts = (packet.dts or 0) - start
            excerpt.mux(packet)


def shrink(source: Path, target: Path) -> None:
    """Encode every frame small, as a messenger forwards a clip; timestamps and sound stay, place and date go."""
    with av.open(str(source)) as original, av.open(str(target), "w", options={"movflags": "+faststart"}) as small:
        picture = add_small_stream(original, small)
        sound = small.add_stream_from_template(original.streams.audio[0])
        packets = list(encode_small(original, picture))
        for packet in original_sound(source):
            packet.stream = sound
            packets.append(packet)
        for packet in sorted(packets, key=lambda packet: (packet.dts or 0) * packet.time_base):
            small.mux(packet)


def add_small_stream(original: InputContainer, small: OutputContainer) -> VideoStream:
    """Add the stream of the small picture; its clock and colour tags are those of the original."""
    video = original.streams.video[0]
    stream = small.add_stream("libx264", options={"crf": PHONE_CRF, "preset": "medium"})
    stream.width, stream.height = PHONE_SIZE
    stream.pix_fmt = "yuv420p"
    stream.time_base = stream.codec_context.time_base = video.time_base
    for tag in ("colorspace", "color_primaries", "color_trc", "color_range"):
        setattr(stream.codec_context, tag, getattr(video.codec_context, tag))
    return stream


def encode_small(original: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    """Yield the packets of the small picture."""
    for frame in original.decode(video=0):
        resized = frame.reformat(*PHONE_SIZE, interpolation=Interpolation.AREA)
        resized.pts, resized.time_base, resized.duration = frame.pts, frame.time_base, frame.duration
        yield from stream.encode(resized)
    yield from stream.encode(None)


def original_sound(source: Path) -> Iterator[Packet]:
    """Yield the sound's packets, undecoded."""
    with av.open(str(source)) as original:
        yield from [packet for packet in original.demux(audio=0) if packet.dts is not None]


def main() -> None:
    """Read the command line and make both clips."""
    parser = argparse.ArgumentParser(description="Make clips/webcam.avi and clips/phone.mp4.")
    parser.add_argument("tree", type=Path, help="samples/data/tree.avi of Debian's opencv-doc 4.6.0")
    parser.add_argument("movie", type=Path, help="original-files/movie1 of Debian's forensics-samples-files 1.1.4")
    parser.add_argument("folder", type=Path, help="where the two clips go")
    arguments = parser.parse_args()
    copy_excerpt(arguments.tree, arguments.folder / "webcam.avi", WEBCAM_PACKETS)
    shrink(arguments.movie, arguments.folder / "phone.mp4")


if __name__ == "__main__":
    main()
