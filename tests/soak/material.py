"""Long videos that are cheap to write: the packets of a few seconds of real footage, again and again."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 25
SIDES = (640, 360)
_UNIT = 320
"""Frames that are repeated: 12.8 s, which are 200 frames of AAC at 16 kHz exactly."""

_SOUND_RATE = 16000


def write_long(clip: Path, path: Path, frames: int, sides: tuple[int, int] = SIDES) -> Path:
    """Write ``frames`` frames at 25 a second with sound, made of a real clip that plays to and fro.

    One unit is encoded; the rest are its packets with later times, so that an hour takes seconds to write.

    Args:
        clip: the footage; brought to ``sides``.
        path: the file, MP4.
        frames: how many.
        sides: width and height in pixels.
    """
    unit = path.with_name(f"unit-{path.name}")
    _write_unit(clip, unit, sides)
    with av.open(str(unit)) as given, av.open(str(path), "w") as made:
        streams = {stream.index: made.add_stream_from_template(stream) for stream in given.streams}
        length = Fraction(_UNIT, RATE)
        packets = [packet for packet in given.demux() if packet.size and 0 <= packet.pts * packet.time_base < length]
        for turn in range(-(-frames // _UNIT)):
            for packet in packets:
                time = packet.pts + int(turn * length / packet.time_base)
                if time * packet.time_base < Fraction(frames, RATE):
                    made.mux(_at(packet, time, streams[packet.stream.index]))
    unit.unlink()
    return path


def _at(packet: av.Packet, time: int, stream: av.stream.Stream) -> av.Packet:
    """A copy of a packet at another time."""
    copy = av.Packet(bytes(packet))
    copy.pts = copy.dts = time
    copy.duration, copy.time_base = packet.duration, packet.time_base
    copy.is_keyframe, copy.stream = packet.is_keyframe, stream
    return copy


def _write_unit(clip: Path, path: Path, sides: tuple[int, int]) -> None:
    """A unit with frames in the order they are shown in, so that it can be cut anywhere."""
    with av.open(str(clip)) as given:
        once = [frame.reformat(*sides, "yuv420p") for frame in given.decode(video=0)]
    way = [*once, *reversed(once)]
    with av.open(str(path), "w") as made:
        picture = made.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "26", "bf": "0"})
        picture.width, picture.height = sides
        picture.pix_fmt = "yuv420p"
        sound = made.add_stream("aac", rate=_SOUND_RATE, layout="mono")
        for index in range(_UNIT):
            frame = way[index % len(way)]
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            frame.pict_type = av.video.frame.PictureType.NONE
            made.mux(picture.encode(frame))
        made.mux(picture.encode(None))
        samples = np.sin(np.arange(_UNIT * _SOUND_RATE // RATE) / 8)[None].astype(np.float32)
        tone = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        tone.sample_rate, tone.pts, tone.time_base = _SOUND_RATE, 0, Fraction(1, _SOUND_RATE)
        made.mux(sound.encode(tone))
        made.mux(sound.encode(None))
