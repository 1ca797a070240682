"""More files of the diffusion systems for the target ``networks``: those whose readers lie in ``core``."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from textovsr.core.restorers.star.loading import load_svd_vae
from textovsr.core.restorers.star.vae import SvdVae, SvdVaeConfig
from textovsr.core.restorers.star_cog.loading import load_transformer, load_vae
from textovsr.core.text.open_clip_h import load_open_clip_h
from textovsr.core.text.t5 import load_t5
from textovsr.models.clip_text import ClipText, ClipTextConfig
from textovsr.models.open_clip_text import OpenClipConfig, OpenClipText
from textovsr.models.star_cog.checkpoint import transformer_keys
from textovsr.tests.helpers import star_cog
from textovsr.tests.helpers.rule import GOLDEN
from textovsr.tests.helpers.t5 import small_t5_weights, tokenizer_json

from .headers import Header, header_of

_TEXT = {"vocabulary": 8, "width": 8, "layers": 1, "heads": 1, "hidden": 8}


def _sat() -> Header:
    """STAR's transformer in SAT's names, with an update of low rank of one weight."""
    shapes = json.loads((GOLDEN / "star_cog_small_sat_manifest.json").read_text("utf-8"))
    header: Header = {key: ("BF16", tuple(shape)) for key, shape in shapes.items()}
    weight = next(key for key in header if key.endswith("attention.dense.weight"))
    rows, columns = header.pop(weight)[1]
    layer = weight.removesuffix(".weight")
    return {
        **header,
        f"{layer}.original.weight": ("BF16", (rows, columns)),
        f"{layer}.matrix_A.0": ("F32", (4, columns)),
        f"{layer}.matrix_B.0": ("F32", (rows, 4)),
    }


def _ours() -> Header:
    """The same in diffusers' names."""
    return {key: ("BF16", tuple(value.shape)) for key, value in transformer_keys(star_cog.sat_weights()).items()}


def _t5() -> Header:
    """T5's encoder, its table of words under one of its two names only, either of which is enough."""
    shapes = {key: tuple(value.shape) for key, value in small_t5_weights().items()}
    del shapes["encoder.embed_tokens.weight"]
    return {key: ("F16", shape) for key, shape in shapes.items()}


def _load_t5(path: Path) -> object:
    tokenizer = tokenizer_json(path.with_name(f"{path.stem}-tokenizer.json"))
    try:
        return load_t5(path, tokenizer)
    finally:
        tokenizer.unlink()


PUBLISHED: tuple[tuple[Callable[[], Header], Callable[[Path], object]], ...] = (
    (lambda: header_of(partial(SvdVae, SvdVaeConfig((32, 32), 1))), load_svd_vae),
    (_sat, load_transformer),
    (_ours, load_transformer),
    (lambda: header_of(partial(star_cog.quick_vae.__wrapped__, 32, 32)), load_vae),
    (lambda: header_of(lambda: OpenClipText(OpenClipConfig(**_TEXT))), load_open_clip_h),
    (lambda: header_of(lambda: ClipText(ClipTextConfig(**_TEXT)), "text_encoder."), load_open_clip_h),
    (_t5, _load_t5),
)
