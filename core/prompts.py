"""The texts that are meant for a frame."""

from .job import Job
from .restoration import ShotFrame
from .text.encode import join_prompt
from .text.vtt import parse_text
from .video.probe import VideoInfo
from .video.reader import Frame


class Prompter:
    """Gives frames of a video the texts that are meant for them.

    Args:
        job: with the texts.
        info: of the video.
    """

    def __init__(self, job: Job, info: VideoInfo) -> None:
        self._caption, self._degradation = parse_text(job.caption), parse_text(job.degradation)
        self._info = info

    def __call__(self, frame: Frame, shot: int) -> ShotFrame:
        """The frame, as one of a shot."""
        seconds = float(frame.pts * self._info.time_base - self._info.start_time)
        prompt = join_prompt(self._caption.at(seconds), self._degradation.at(seconds))
        return ShotFrame(frame.image, prompt, shot, frame.pts, frame.duration)
