"""The list of our nodes, and what happens when a package that one of them needs is missing."""

import importlib
import logging
import sys

from comfy_api.latest import ComfyExtension, io

from .given import guarded
from .replacements import register_replacements

logger = logging.getLogger(__name__)

NODES: dict[str, str] = {
    "load_video": "LoadVideo",
    "list_videos": "ListVideos",
    "llava_caption": "LLaVACaption",
    "degradation_text": "DegradationText",
    "text_ovsr_upscale": "TextOVSRUpscale",
    "diffusion_restore": "DiffusionRestore",
    "degrade_video": "DegradeVideo",
    "encode_video": "EncodeVideo",
    "estimate_flow": "EstimateFlow",
    "split_windows": "SplitWindows",
    "motion_guided_sampler": "MotionGuidedSampler",
    "motion_guidance": "MotionGuidance",
    "rescheduled_noise": "RescheduledNoise",
    "ilt_stitch": "ILTStitch",
    "decode_video": "DecodeVideo",
    "diffusion_weights": "DiffusionWeights",
    "clip_iqa_score": "CLIPIQAScore",
    "quality_report": "QualityReport",
    "compare_videos": "CompareVideos",
    "save_video": "SaveVideo",
}
"""Module in this folder -> the node class in it; the order is the order in menus."""

PIP_NAMES = {"PIL": "pillow", "cv2": "opencv-python-headless", "open_clip": "open_clip_torch", "yaml": "pyyaml"}
"""Modules that are installed under another name."""


class TextOVSRExtension(ComfyExtension):
    """All nodes of the pack that can be loaded here."""

    async def on_load(self) -> None:
        """Tell the host which nodes replace older ones."""
        await register_replacements()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Return the node classes; one that misses a package is left out, with a warning that names the cure."""
        nodes = [load_node(module, name) for module, name in NODES.items()]
        loaded = [node for node in nodes if node is not None]
        if any(node.__name__ == "CompareVideos" for node in loaded):
            from .host.frames_route import serve_frames

            serve_frames()
        return loaded


def load_node(module: str, name: str) -> type[io.ComfyNode] | None:
    """Import one node class; return None, and log what to install, when a package it needs is missing."""
    try:
        return guarded(getattr(importlib.import_module(f".{module}", __package__), name))
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if not missing or missing == (__package__ or "").partition(".")[0]:
            raise
        package = PIP_NAMES.get(missing, missing)
        logger.warning(
            "TextOVSR: the node %s is left out, the Python package %s is missing. Install it: %s -m pip install %s",
            name, missing, sys.executable, package,
        )  # fmt: skip
        return None
