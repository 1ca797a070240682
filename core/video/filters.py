"""FFmpeg's filters, for streams of frames of one size and format."""

from collections.abc import Iterator
from fractions import Fraction
from functools import cache

import av
from av.filter import Graph
from av.video.format import VideoFormat

from .planes import pixel_layout

_TICK = Fraction(1, 1000)  # of no meaning: callers keep the times


class FilterChain:
    """One filter that yields as many frames as it takes, in order, some of them late.

    Args:
        like: a frame of the size and format of all that will come.
        name: of the filter.
        options: its options, as FFmpeg writes them.
    """

    def __init__(self, like: av.VideoFrame, name: str, options: str | None = None) -> None:
        self._kind = _kind(like)
        self._graph = _graph(like.width, like.height, like.format.name, name, options)

    def takes(self, frame: av.VideoFrame) -> bool:
        """Whether ``frame`` has the size and format of the first."""
        return _kind(frame) == self._kind

    def push(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """Put a frame in and yield what comes out."""
        self._graph.vpush(frame)
        yield from self._pull()

    def flush(self) -> Iterator[av.VideoFrame]:
        """Yield what is left; the chain takes no more."""
        self._graph.vpush(None)
        yield from self._pull()

    def _pull(self) -> Iterator[av.VideoFrame]:
        while True:
            try:
                yield self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return


def _kind(frame: av.VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _graph(width: int, height: int, pixel_format: str, name: str, options: str | None) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=width, height=height, format=VideoFormat(pixel_format, width, height), time_base=_TICK
    )
    graph.link_nodes(source, graph.add(name, options), graph.add("buffersink")).configure()
    return graph


@cache
def keeps_format(name: str, pixel_format: str) -> bool:
    """Whether a filter works on a pixel format as it is; FFmpeg puts a conversion before it otherwise."""
    frame = av.VideoFrame(64, 64, pixel_format)
    frame.pts = 0
    chain = FilterChain(frame, name)
    return {out.format.name for out in (*chain.push(frame), *chain.flush())} == {pixel_format}


def planar(frame: av.VideoFrame, *, full_range: bool) -> av.VideoFrame:
    """Unpack a frame to the planar format in which it would be read anyway."""
    layout = pixel_layout(frame.format.name)
    if frame.format.name == layout.format:
        return frame
    code = 2 if full_range else 1
    keep = {} if layout.kind == "rgb" else {"src_color_range": code, "dst_color_range": code}
    return frame.reformat(format=layout.format, **keep)
