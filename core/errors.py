"""Every exception the pack raises on purpose, as one tree.

``TextOVSRError`` is the root: a caller that catches it has caught all of ours. A message says what was expected, what
was found, and what to do next.
"""


class TextOVSRError(Exception):
    """Root of all our exceptions."""


class InputError(TextOVSRError):
    """Something the user gave cannot be used as it is."""


class VideoError(InputError):
    """A video file cannot be used."""


class VideoNotFoundError(VideoError):
    """There is no file at the given path."""


class NotAVideoError(VideoError):
    """The file is not a video that FFmpeg can open, or holds no video stream."""


class EmptyVideoError(VideoError):
    """The video, or the chosen part of it, holds no frame."""


class DamagedVideoError(VideoError):
    """Something of the video is damaged or missing, and the caller asked for all or nothing."""


class FrameNumberError(VideoError):
    """The video has no frame of that number."""


class VideoSizeError(VideoError):
    """The picture is smaller or larger than what can be worked on."""


class OutputError(InputError):
    """The result cannot be written as asked."""


class OutputExistsError(OutputError):
    """The output file exists and overwriting was not asked for."""


class EncoderError(OutputError):
    """This codec, container and pixel format do not go together, or the encoder is missing."""


class DiskFullError(OutputError):
    """There is no room for the result, or not enough for what it will need."""


class JobRunningError(OutputError):
    """Another run is writing the same output."""


class SettingError(InputError):
    """An option is outside its range or contradicts another."""


class WorkflowError(InputError):
    """A workflow cannot be used as it is, or one of its nodes failed."""


class WeightsError(InputError):
    """A weights file cannot be used."""


class WeightsNotFoundError(WeightsError):
    """No weights file has that name."""


class DamagedWeightsError(WeightsError):
    """The weights file is truncated or corrupt."""


class UnknownCheckpointError(WeightsError):
    """The keys of the checkpoint belong to no architecture we know, or do not fit it."""


class DownloadError(TextOVSRError):
    """A file could not be downloaded whole; what came is kept."""


class ServerError(TextOVSRError):
    """A ComfyUI server cannot be reached, or does not answer as one."""


class RefusedError(TextOVSRError):
    """A ComfyUI server answers, but does not do what it was asked to."""


class ClusterError(TextOVSRError):
    """A Ray cluster cannot be reached, or its machines cannot do the work."""


class ShapeError(TextOVSRError, ValueError):
    """A tensor has the wrong shape."""


class OutOfMemoryError(TextOVSRError):
    """Not even the smallest tile and window fit the memory."""


class MissingDependencyError(TextOVSRError, ImportError):
    """An optional package is not installed."""


class CancelledError(TextOVSRError):
    """The caller asked to stop."""
