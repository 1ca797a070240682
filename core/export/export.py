"""Exporting TextOVSR for a CPU: 8-bit convolutions, ranges found on real clips, the loss measured before it is kept."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...models.dial import load_dialled
from ...models.exported import ExportedTextOVSR, Quantized, save_exported
from ...models.registry import read_metadata
from ...models.text_ovsr import TextOVSR
from ..durable import sha256_of, writing_explained
from ..errors import OutputError, SettingError
from ..quality.fidelity import psnr_y
from ..tiles import Check
from .calibrate import observe, quantize, restored
from .compiled import compile_network, require_openvino
from .config import LEAST_FRAMES, MOST_FRAMES, ExportConfig, Exported
from .material import Clip, bundled_material

SUFFIX = ".safetensors"

_CORE = "basicvsr."
_EIGHT_BITS = (
    "image_cleaning.",
    f"{_CORE}spynet.",
    f"{_CORE}frame_extractor.",
    f"{_CORE}backward_resblocks_layer10_po.",
    f"{_CORE}forward_resblocks_layer10_po.",
    f"{_CORE}fusion",
    f"{_CORE}upsample1.",
    f"{_CORE}upsample2.",
    f"{_CORE}conv_hr",
    f"{_CORE}conv_last",
)
"""What is computed in 8 bits: every convolution outside of the attention; docs/decisions.md says what each costs."""


def export_network(
    source: Path, output: Path, config: ExportConfig | None = None, check: Check = lambda: None
) -> Exported:
    """Write weights of TextOVSR in the form that is quick on a CPU.

    The same call writes the same bytes on the same machine.

    Args:
        source: a weights file, not exported itself.
        output: the file to write, ending in ``.safetensors``.
        config: how.
        check: called between pieces of work; raises to cancel.

    Raises:
        MissingDependencyError: there is no OpenVINO.
        SettingError: the weights are not TextOVSR's, or something is out of range.
        OutputError: the name has another suffix, it cannot be written, or more would be lost than may be.
        WeightsError: the weights cannot be read.
    """
    config = config or ExportConfig()
    _check_settings(output, config)
    require_openvino()
    network = load_dialled(source, config.fidelity)
    if not isinstance(network, TextOVSR):
        raise SettingError(
            f"Expected weights of TextOVSR to export, got {type(network).__name__} in {source.name}; choose other "
            "weights."
        )
    material = bundled_material(config.frames, config.seed)
    eight = _in_eight_bits(network, material.calibration, check) if config.precision == "int8" else {}
    exported = ExportedTextOVSR(network, eight, _card(source, config))
    scores = _compare(exported, material.judged, check)
    exported.card["measured"] = scores
    if scores["worst_loss"] > config.most_loss:
        raise OutputError(
            f"Expected a loss of at most {config.most_loss:g} dB, got {scores['worst_loss']:.3f} dB; nothing was "
            "written: allow more, or export as fp16."
        )
    with writing_explained(output):
        save_exported(exported, output, torch.float32 if config.precision == "fp32" else torch.float16)
    return Exported(output, config.precision, output.stat().st_size, len(eight), **scores)


def _check_settings(output: Path, config: ExportConfig) -> None:
    if output.suffix != SUFFIX:
        raise OutputError(f"Expected a name that ends in {SUFFIX}, got {output.name}; change it.")
    if not output.parent.is_dir():
        raise OutputError(f"Expected a folder {output.parent} to write to, found none; make it, or correct the path.")
    if not LEAST_FRAMES <= config.frames <= MOST_FRAMES:
        raise SettingError(
            f"Expected {LEAST_FRAMES} to {MOST_FRAMES} frames of each clip, got {config.frames}; choose one of these."
        )


def _in_eight_bits(network: TextOVSR, clips: Iterable[Clip], check: Check) -> dict[str, Quantized]:
    chosen = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and name.startswith(_EIGHT_BITS)
    }
    seen = observe(network, list(chosen), clips, check)
    return {name: quantize(module, *seen[name].range()) for name, module in chosen.items()}


def _card(source: Path, config: ExportConfig) -> dict[str, Any]:
    origin = read_metadata(source)
    recipe = {key: value for key, value in asdict(config).items() if key != "most_loss"}
    return {
        "architecture": "TextOVSR",
        "licence": origin.get("licence", "unknown"),
        "name": origin.get("name", source.stem),
        "recipe": recipe,
        "source_sha256": sha256_of(source),
    }


def _compare(exported: ExportedTextOVSR, clips: Iterable[Clip], check: Check) -> dict[str, float]:
    """What is lost, in decibels of PSNR-Y; see ``Exported``."""
    compiled = compile_network(exported)
    losses, differences = [], []
    for clip in clips:
        assert clip.truth is not None
        before, after = (torch.stack(list(restored(network, clip, check))) for network in (exported.network, compiled))
        losses.append(psnr_y(before, clip.truth) - psnr_y(after, clip.truth))
        differences.append(min(psnr_y(after, before), 200.0))  # equal pictures are infinite, which JSON has no word for
    return {
        "loss": round(sum(losses) / len(losses), 4),
        "worst_loss": round(max(losses), 4),
        "difference": round(min(differences), 2),
    }
