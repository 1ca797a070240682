"""The private options of FFmpeg's encoders: constant quality, repeatable, joinable, with HDR metadata."""

from fractions import Fraction

import torch

from ..config import PRESETS, EncodeConfig
from .hdr import HdrMetadata

_SVT_THREADED_SIDE = 32
"""SVT-AV1 waits for ever on pictures with a shorter side, unless it has one thread."""

_X265_BLOCK = 64
"""x265 gives a picture of a single block another look from run to run, and is not lossless then."""

_X265_THREE_BLOCKS = 48
"""Up to this width, x265's macroblock trees write behind the memory that they own, which ends the process."""

_SVT_FASTEST = {8: 9, 10: 7}
"""The fastest preset of SVT-AV1 by bits: faster ones spoil pictures between key frames that show something new."""

_AV1_SCALE = 63 / 51


def software_options(
    encoder: str, encode: EncodeConfig, size: tuple[int, int], depth: int, hdr: HdrMetadata | None
) -> dict[str, str]:
    """Return the options of an encoder in software.

    Every file begins with a picture that needs no other one, and its groups of pictures are closed.

    Args:
        encoder: FFmpeg's name.
        encode: quality and preset.
        size: width and height.
        depth: 8 or 10 bits a sample.
        hdr: metadata to write into the stream.
    """
    preset = encode.preset or "medium"
    faster = PRESETS.index("medium") - PRESETS.index(preset)
    if encoder == "libx264":
        # With AVX-512, x264 gives another picture from run to run, so that a resumed job would not match itself.
        params = ["asm=avx2"] if torch.backends.cpu.get_cpu_capability() == "AVX512" else []
        params += _hdr_parameters(hdr, "mastering-display", "cll", whole=True)
        # With 10 bits a crf of 0 loses a little; a quantiser of 0 never does.
        quality = {"crf": str(encode.crf)} if encode.crf else {"qp": "0"}
        return {**quality, "preset": preset, **_joined("x264-params", params)}
    if encoder == "libx265":
        params = ["log-level=error", "open-gop=0", *(["lossless=1"] if encode.crf == 0 else [])]
        params += ["ctu=16"] if min(size) <= _X265_BLOCK else []
        params += ["cutree=0"] if size[0] <= _X265_THREE_BLOCKS else []
        params += _hdr_parameters(hdr, "master-display", "max-cll", whole=True)
        return {"crf": str(encode.crf), "preset": preset, **_joined("x265-params", params)}
    if encoder == "libsvtav1":
        params = ["lp=1"] if min(size) < _SVT_THREADED_SIDE else []
        params += ["lossless=1"] if encode.crf == 0 else []
        params += _hdr_parameters(hdr, "mastering-display", "content-light", whole=False)
        quality = {"crf": str(max(1, round(encode.crf * _AV1_SCALE)))}
        return {**quality, "preset": str(min(8 + faster, _SVT_FASTEST[depth])), **_joined("svtav1-params", params)}
    if encoder == "libaom-av1":
        return {"crf": str(round(encode.crf * _AV1_SCALE)), "cpu-used": str(6 + min(faster, 2))}
    if encoder == "prores_ks":
        return {"profile": "hq" if size[0] % 2 == 0 else "4444", "vendor": "apl0"}
    if encoder == "ffv1":
        return {"level": "3", "slicecrc": "1"}
    return {}


def hardware_options(encoder: str, encode: EncodeConfig) -> dict[str, str]:
    """Constant quality in each family's own words; none is lossless, and 0 means "choose yourself" to some."""
    quality = max(encode.crf, 1)
    av1 = encoder.startswith("av1")
    if encoder.endswith("nvenc"):
        return {"rc": "vbr", "cq": str(round(quality * _AV1_SCALE) if av1 else quality), "b": "0", "preset": "p5"}
    if encoder.endswith("qsv"):
        return {"global_quality": str(quality), "preset": "slow"}
    if encoder.endswith("amf"):
        quantiser = str(quality * 5 if av1 else quality)  # AV1 counts to 255
        return {"rc": "cqp", "qp_i": quantiser, "qp_p": quantiser, "quality": "quality"}
    return {"flags": "+qscale", "global_quality": str(118 * max(100 - 2 * quality, 1))}  # 118: FFmpeg's lambda


def carries_hdr(encoder: str) -> bool:
    """Whether ``software_options`` makes this encoder write static HDR metadata."""
    return encoder in ("libx264", "libx265", "libsvtav1")


def _joined(name: str, params: list[str]) -> dict[str, str]:
    return {name: ":".join(params)} if params else {}


def _hdr_parameters(hdr: HdrMetadata | None, display: str, light: str, *, whole: bool) -> list[str]:
    """Static HDR metadata as the encoders' libraries take it: in units of 1/50000 and 1/10000 cd/m2, or plain."""
    if hdr is None:
        return []

    def number(value: Fraction, unit: int) -> str:
        return str(round(value * unit)) if whole else f"{float(value):.6f}"

    found = []
    points = (hdr.green, hdr.blue, hdr.red, hdr.white)
    if all(points) and hdr.min_luminance is not None and hdr.max_luminance is not None:
        named = zip(("G", "B", "R", "WP"), points, strict=True)
        text = "".join(f"{name}({number(p[0], 50_000)},{number(p[1], 50_000)})" for name, p in named if p)
        found.append(f"{display}={text}L({number(hdr.max_luminance, 10_000)},{number(hdr.min_luminance, 10_000)})")
    if hdr.max_cll is not None and hdr.max_fall is not None:
        found.append(f"{light}={hdr.max_cll},{hdr.max_fall}")
    return found
