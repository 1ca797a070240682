"""Every default and limit of the pack, written once."""

from dataclasses import dataclass, field
from typing import Literal

ColorFix = Literal["none", "adain", "wavelet"]
VideoCodec = Literal["h264", "hevc", "av1", "prores", "ffv1", "png"]

Deinterlace = Literal["auto", "on", "off"]

SUFFIX: dict[VideoCodec, str] = {"h264": ".mp4", "hevc": ".mp4", "av1": ".mp4", "prores": ".mov", "ffv1": ".mkv"}
"""The container each codec is put in unless the user names one; png is a folder of pictures."""

DEVICE = "auto"
"""Where to compute: CUDA if there is any, else the CPU."""

SCALE = 4
"""The networks upscale by this factor; other scales are made from it by area averaging."""


@dataclass(frozen=True)
class EncodeConfig:
    """How the result is encoded.

    Attributes:
        codec: the video codec of the result.
        crf: constant quality, 0 (lossless) to 51 (worst); used by h264, hevc and av1.
        bit_depth: 8 or 10 bits a sample; 0 follows the source.
        hardware: encode in the graphics card or the processor's video unit; h264, hevc and av1.
        preset: one of ``PRESETS``, from fast and large to slow and small, for h264, hevc and av1 without hardware;
            nothing is ``medium``.
    """

    codec: VideoCodec = "h264"
    crf: int = 16
    bit_depth: Literal[0, 8, 10] = 0
    hardware: bool = False
    preset: str = ""


PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
"""How long an encoder may search, by the names that x264 and x265 have for it."""

ColorSpace = Literal["", "bt601", "bt709", "bt2020"]
"""A matrix between RGB and YUV; nothing keeps the source's."""


WINDOW, GPU_WINDOW = 8, 16
"""Frames a window of the recurrent network yields, memory permitting; on a GPU the look-ahead costs a smaller share."""

LOOK_AHEAD = 8
"""Frames the backward pass starts after a window; see docs/benchmarks.md for what it costs and brings."""

FADE = 4
"""Frames over which the backward features of a new window are faded in."""

TILE = {"cpu": 64, "cuda": 512, "mps": 512}
"""The quickest side of a reconstruction tile in LR pixels: on a CPU one that stays in its cache."""

SMALLEST_TILE = 64
"""No automatic tile is smaller."""

LEAST_TILE = 16
"""Nor is one that was halved because memory ran out."""


GPU_PIXELS = 1 << 20
"""Pixels of the input that are prepared together on a GPU: few large pieces of work instead of many small ones."""

Precision = Literal["auto", "float32", "float16", "bfloat16"]
"""What a recurrent network computes in; ``auto`` is float16 on CUDA, else float32."""

Speedup = Literal["none", "compile", "graphs", "both"]
"""What is tried beyond plain PyTorch: ``torch.compile``, and recorded CUDA graphs."""


@dataclass(frozen=True)
class RecurrentConfig:
    """How the recurrent network is run; every combination gives the same picture within what nobody can see.

    Attributes:
        cleaning_threshold: clean again (up to 3 times) while the mean correction, of 255, is at least this; 255 cleans
            once.
        window: frames a window; 0 chooses by memory.
        look_ahead: frames looked at beyond it; None chooses by memory.
        tile: side of a tile in input pixels; 0 chooses by memory.
        fade: frames over which a window's backward features are faded in.
        precision: what it computes in; optical flow, warping and the enlarged frame it adds to are float32 always.
        speedup: what is tried beyond plain PyTorch.
    """

    cleaning_threshold: float = 255.0
    window: int = 0
    look_ahead: int | None = None
    tile: int = 0
    fade: int = FADE
    precision: Precision = field(default="auto", repr=False)
    speedup: Speedup = field(default="none", repr=False)


FIDELITY = 1.0
"""Between the two ends of the weights: 1 is the most faithful, 0 the most detailed."""


@dataclass(frozen=True)
class ResultConfig:
    """What is made of the network's four times larger frames.

    Attributes:
        scale: 4, or 2 by area averaging; ignored when ``height`` is set.
        height: height of the result in pixels; 0 follows ``scale``.
        color_fix: how colours are brought back to the input's.
    """

    scale: Literal[2, 4] = 4
    height: int = 0
    color_fix: ColorFix = "none"


CUT_THRESHOLD = 0.3
"""Share of the picture that is new at a cut, see ``video.cuts.mark_cuts``; chosen by benchmarks/cuts.py."""

FRAMES_PER_SHOT = 6
"""Places in a shot that are looked at to describe its degradations."""

SEGMENT_FRAMES = (16, 128)
"""Least and most frames of a segment; a crash loses at most one."""

SEGMENT_PIXELS = 120_000_000
"""Pixels of the result in a segment, within those limits."""

QUEUE = 4
"""Frames that may wait between two stages of the pipeline; before restoration at least a window's."""

SMALLEST_SIDE, LARGEST_SIDE = 16, 16384
"""Sides of a video that is taken, in pixels: the networks need the one, and no common encoder writes the other's."""

LARGEST_AREA = 40_000_000
"""Pixels of a frame that is taken: 8K and a little more, which is half a gigabyte a frame."""

DECODER_THREADS = 4
"""Frames decoded side by side, at most."""

CLIP_LEAST_SIDE = 32
"""Sides of a picture that CLIP's ResNet can take, in pixels: it shrinks them 32 times."""

CLIP_FRAMES = 240
"""Frames that the node scores with CLIP-IQA, at most, unless told otherwise."""

CLIP_BATCH = (8, 2_000_000)
"""Frames, and pixels, that CLIP-IQA looks at together, at most; one frame may have more."""

VAE_TILE, LEAST_VAE_TILE = 512, 128
"""Side of a VAE's tiles in pixels where memory asks for some, and the least that they are halved to."""

VAE_CHUNK, VAE_VIDEO_CHUNK, VAE_PIXEL_BYTES = 16, 32, 2 << 30
"""Latents of one frame, latents of several, and bytes of frames that go through a VAE together, at most."""

LATENT_MEMORY = 1024
"""Megabytes of latents that are kept in memory; more of them go to a file."""
