"""Widgets that several nodes have."""

from typing import get_args

from comfy_api.latest import io

from ..core.config import CUT_THRESHOLD, SUFFIX, ColorFix, EncodeConfig, ResultConfig, VideoCodec


def codec_input(
    tooltip: str = "Codec of the result. h264 plays everywhere; ffv1 (mkv) and prores (mov) are for further editing.",
) -> io.Input:
    """What a result is encoded with."""
    codecs = [codec for codec in get_args(VideoCodec) if codec in SUFFIX]
    return io.Combo.Input("codec", options=codecs, default=EncodeConfig.codec, optional=True, tooltip=tooltip)


def crf_input(default: int = EncodeConfig.crf) -> io.Input:
    """How well it is encoded."""
    return io.Int.Input(
        "crf",
        default=default,
        min=0,
        max=51,
        optional=True,
        tooltip="Quality of h264, hevc and av1: lower is better and larger.",
    )


def color_fix_input(source: str = "input", further: str = "") -> io.Input:
    """How colours are brought back to those of the source, which the tooltip calls so."""
    return io.Combo.Input(
        "color_fix",
        options=list(get_args(ColorFix)),
        default=ResultConfig.color_fix,
        optional=True,
        tooltip=f"Brings colours back to the {source}'s, should they drift: adain matches each channel's mean and "
        f"spread, wavelet takes the {source}'s low frequencies.{further}",
    )


def cut_threshold_input(then: str) -> io.Input:
    """When a cut is a cut; ``then`` says what follows from one."""
    return io.Float.Input(
        "cut_threshold",
        default=CUT_THRESHOLD,
        min=0.01,
        max=1.0,
        step=0.005,
        optional=True,
        tooltip=f"How much of the picture must be new at a cut; {then} 1 finds none.",
    )
