"""The axes of the matrix, which of their values go together, and the case that a combination is."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from textovsr.core.config import EncodeConfig

from .matrix import HD, NTSC, PAL, UHD, Case
from .pairs import Combination, all_pairs
from .pictures import Look

UNEVEN = (0, 1, 5, 6, 70, 100, 1000, 1001, 1500, 1533, 9000)
JPEG = Look(5, 5, 6, 2)
LOOKS = {"709": HD, "601-625": PAL, "601-525": NTSC, "2020": UHD, "pq": Look(9, 9, 16)}
PLANAR = ("yuv420p", "yuv422p", "yuv444p")
DEEP = tuple(f"{name}10le" for name in PLANAR)
SAMPLES = (*PLANAR, *DEEP, "yuv420p12le", "yuv444p12le", "gray", "gray10le", "rgb")

CODECS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "libx264": ((".mp4", ".mov", ".mkv", ".avi", ".ts"), (*PLANAR, *DEEP, "gray", "gray10le")),
    "libx265": ((".mp4", ".mov", ".mkv", ".ts"), SAMPLES[:-1]),
    "libvpx-vp9": ((".webm", ".mkv", ".mp4"), PLANAR),
    "libsvtav1": ((".mp4", ".mkv", ".webm"), ("yuv420p", "yuv420p10le")),
    "mpeg2video": ((".mpg", ".ts", ".mkv", ".mp4", ".mov"), ("yuv420p", "yuv422p")),
    "mpeg4": ((".avi", ".mp4", ".mov", ".mkv"), ("yuv420p",)),
    "mjpeg": ((".avi", ".mov", ".mkv", ".mp4"), PLANAR),
    "cinepak": ((".avi", ".mov"), ("rgb",)),
    "prores_ks": ((".mov", ".mkv"), DEEP[1:]),
    "ffv1": ((".mkv", ".avi"), SAMPLES),
}
"""Encoders with the containers and samples they go into."""

SOUNDS = {
    "": (".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".ts"),
    "aac": (".mp4", ".mov", ".mkv", ".ts"),
    "libopus": (".mp4", ".mkv", ".webm"),
    "flac": (".mp4", ".mkv"),
    "pcm_s16le": (".mov", ".mkv", ".avi"),
    "libmp3lame": (".mp4", ".mov", ".mkv", ".avi", ".mpg", ".ts"),
    "ac3": (".mp4", ".mov", ".mkv", ".avi", ".mpg", ".ts"),
}
"""The containers that a sound goes into, and out into unchanged."""

RATES = {
    "23.976": Fraction(24_000, 1001),
    "25": Fraction(25),
    "30": Fraction(30),
    "50": Fraction(50),
    "59.94": Fraction(60_000, 1001),
    "uneven": Fraction(25),
}
TRIMS = {"": (0.0, None), "start": (0.08, None), "end": (0.0, 0.12), "middle": (0.05, 0.1)}
RESULTS = {
    "h264": (".mp4", ".mkv", ".mov"),
    "hevc": (".mp4", ".mkv", ".mov"),
    "av1": (".mp4", ".mkv", ".webm"),
    "prores": (".mov", ".mkv"),
    "ffv1": (".mkv",),
}

AXES: dict[str, tuple[Any, ...]] = {
    "codec": tuple(CODECS),
    "container": SOUNDS[""],
    "samples": SAMPLES,
    "look": (*LOOKS, "untagged"),
    "range": ("studio", "full"),
    "rate": tuple(RATES),
    "begin": ("at 0", "late"),
    "order": ("as shown", "reordered"),
    "turn": (0, 90, 180, 270, "mirrored"),
    "pixels": (Fraction(1), Fraction(4, 3)),
    "sound": tuple(SOUNDS),
    "trim": tuple(TRIMS),
    "result": tuple(RESULTS),
    "output": (".mp4", ".mkv", ".mov", ".webm"),
    "depth": (0, 8, 10),
    "segments": ("whole", "in 2s"),
}

_PLAIN = ("", 0, 1, "at 0", "as shown", "whole")
"""What a case's name leaves out."""

_SELF_TAGGED = ("libx264", "libx265", "libsvtav1", "mpeg2video", "prores_ks")
"""Whose own bits tell matrix, primaries and transfer."""
_SELF_RANGED = ("libx264", "libx265", "libsvtav1", "libvpx-vp9")
"""And the range."""
_LABELLED = (".mp4", ".mov", ".mkv")
"""Containers that tell orientation and the shape of pixels."""


def _tagged(codec: str, container: str, look: str) -> bool:
    if codec in ("mjpeg", "cinepak"):
        return look == "untagged"
    return look == "untagged" or codec in _SELF_TAGGED or container in (*_LABELLED, ".webm")


def _ranged(codec: str, container: str, samples: str, look: str, range: str) -> bool:
    if codec == "mjpeg" or (samples.startswith("gray") and look == "untagged"):
        return range == "full"
    if samples == "rgb" or look == "untagged" or codec in ("prores_ks", "mpeg2video"):
        return range == "studio"
    return range == "studio" or codec in _SELF_RANGED or container in (".mkv", ".mp4")


RULES: tuple[tuple[tuple[str, ...], Callable[..., bool]], ...] = (
    (("codec", "container"), lambda codec, container: container in CODECS[codec][0]),
    (("codec", "samples"), lambda codec, samples: samples in CODECS[codec][1]),
    (("codec", "container", "look"), _tagged),
    (("codec", "container", "samples", "look", "range"), _ranged),
    (("samples", "look"), lambda samples, look: look == "untagged" if samples == "rgb" else True),
    # Untagged gray is read as full range, which no encoder of delivery formats means.
    (("codec", "samples", "look"), lambda c, s, look: c == "ffv1" or not s.startswith("gray") or look != "untagged"),
    # They have no room for times of every kind.
    (("codec", "rate"), lambda codec, rate: codec != "mpeg2video" or rate != "uneven"),
    (("container", "rate"), lambda container, rate: rate != "uneven" or container in (*_LABELLED, ".webm")),
    (("container", "begin"), lambda container, begin: begin == "at 0" or container != ".avi"),
    (("container", "order"), lambda container, order: order == "as shown" or container != ".avi"),
    (("codec", "order"), lambda c, order: order == "as shown" or c in ("libx264", "libx265", "mpeg2video", "mpeg4")),
    (("container", "turn"), lambda container, turn: turn == 0 or container in _LABELLED),
    (("container", "pixels"), lambda container, pixels: pixels == 1 or container in _LABELLED),
    # The others leave it to the container, to which PyAV does not tell it.
    (("codec", "pixels"), lambda codec, pixels: pixels == 1 or codec in ("libx264", "libx265", "mpeg4")),
    (("container", "sound"), lambda container, sound: container in SOUNDS[sound]),
    (("output", "sound"), lambda output, sound: output in SOUNDS[sound]),
    (("result", "output"), lambda result, output: output in RESULTS[result]),
    (("result", "depth"), lambda result, depth: depth != 8 or result != "prores"),
)


def possible(combination: Combination) -> bool:
    """Whether values go together, as far as they are known."""
    return all(
        rule(*(combination[name] for name in names)) for names, rule in RULES if all(n in combination for n in names)
    )


def pair_cases(seed: int = 0) -> tuple[Case, ...]:
    """Cases in which every two values of two axes meet that can."""
    return tuple(_case(combination) for combination in all_pairs(AXES, possible, seed))


def _case(at: Combination) -> Case:
    rate = RATES[at["rate"]]
    base = Fraction(1, 1000) if at["rate"] == "uneven" else 1 / rate
    late = round(1 / base) if at["begin"] == "late" else 0  # a second, or 1.001: whole milliseconds
    ticks = UNEVEN if at["rate"] == "uneven" else range(8)
    tags, look = _looks(at)
    return Case(
        " ".join(str(at[axis]) for axis in AXES if at[axis] not in _PLAIN),
        f"a{at['container']}",
        codec=at["codec"],
        pix_fmt=_pix_fmt(at),
        tags=tags,
        look=look,
        times=tuple(late + tick for tick in ticks),
        base=base,
        rate=rate,
        more=_more(at),
        output=at["output"],
        encode=EncodeConfig(at["result"], crf=1, bit_depth=at["depth"], preset="ultrafast"),
        stored=_stored(at),
        trim=TRIMS[at["trim"]],
        segment=2 if at["segments"] == "in 2s" else 0,
        tolerance=6 if at["codec"] == "cinepak" else 4,
    )


def _looks(at: Combination) -> tuple[Look | None, Look | None]:
    """What the file says, and what its samples mean where that is not the guess for small YUV."""
    full = 2 if at["range"] == "full" else 1
    if at["codec"] == "mjpeg":
        return None, JPEG
    if at["samples"] == "rgb":
        return None, HD
    if at["look"] == "untagged":
        return None, Look(6, 1, 6, 2) if full == 2 else None
    return replace(LOOKS[at["look"]], range=full), None


def _pix_fmt(at: Combination) -> str:
    if at["samples"] == "rgb":
        return "rgb24" if at["codec"] == "cinepak" else "bgr0"
    return at["samples"].replace("yuv", "yuvj") if at["codec"] == "mjpeg" else at["samples"]


def _more(at: Combination) -> dict[str, object]:
    more: dict[str, object] = {"aspect": at["pixels"], "audio": at["sound"] or None}
    if at["turn"] == "mirrored":
        more["mirrored"] = True
    elif at["turn"]:
        more["rotation"] = at["turn"]
    frames = "3" if at["order"] == "reordered" else "0"
    more["options"] = {
        "libx264": {"preset": "superfast", "bf": frames, "x264-params": "b-adapt=0:scenecut=0"},
        "libx265": {"x265-params": f"log-level=error:bframes={frames}:b-adapt=0:cutree=0"},
        "mpeg2video": {"bf": "2" if at["order"] == "reordered" else "0"},
        "mpeg4": {"bf": "2" if at["order"] == "reordered" else "0"},
    }.get(at["codec"], {})
    return more


def _stored(at: Combination) -> str:
    """The samples of the result: 4:2:2 in ProRes, 4:4:4 in FFV1, else 4:2:0; as deep as asked for or as the source."""
    follows = at["depth"] == 0 and (at["samples"].endswith("le") or at["look"] == "pq")
    deep = at["depth"] == 10 or at["result"] == "prores" or follows
    layout = {"prores": "422", "ffv1": "444"}.get(at["result"], "420")
    if deep:
        return f"yuv{layout}p10le"
    full = at["range"] == "full" and at["result"] in ("h264", "hevc")
    return f"yuv{'j' if full else ''}{layout}p"
