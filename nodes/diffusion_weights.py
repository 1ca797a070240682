"""What the diffusion systems need, what of it is on the disk, and getting the rest."""

import hashlib

from comfy_api.latest import io

from ..core.weights import find_files, find_system
from ..core.weights_download import get_files
from ..core.weights_report import in_words, terms
from ..models.published import SYSTEMS, choices
from .host.folders import diffusion_folders
from .host.progress import download_reporter, show_text
from .search_aliases import search_aliases

_CHOICES = [choice for system in SYSTEMS for choice in choices(system)]


class DiffusionWeights(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_DiffusionWeights",
            display_name="Diffusion Weights",
            category="TextOVSR/diffusion",
            description="Says which files a diffusion system needs, which of them are on the disk under whatever name, "
            "where the others are published, how large they are and under what licence; and downloads them if you "
            "agree.",
            **search_aliases("OVSR_DiffusionWeights"),
            inputs=[
                io.Combo.Input(
                    "system",
                    options=[choice.title for choice in _CHOICES],
                    default=_CHOICES[0].title,
                    tooltip="The system of Diffusion Restore whose files to look for. STAR has weights for heavily and "
                    "for lightly degraded videos; either will do.",
                ),
                io.Boolean.Input(
                    "download",
                    default=False,
                    optional=True,
                    tooltip="You agree to these licences, and that what is missing is downloaded to models/textovsr. "
                    + " ".join(terms(choice) for choice in _CHOICES)
                    + " A download that stops goes on next time.",
                ),
            ],
            outputs=[
                io.String.Output(
                    display_name="report", tooltip="Markdown: every network with its file, or where to get it."
                )
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
        )

    @classmethod
    def fingerprint_inputs(cls, system: str, download: bool = False) -> str:
        """Follow the disk: a file that came or went is told."""
        found = find_files(find_system(system), diffusion_folders())
        return hashlib.sha256(repr((download, [(one.path, one.note) for one in found])).encode()).hexdigest()

    @classmethod
    def execute(cls, system: str, download: bool = False) -> io.NodeOutput:
        """Look, or get what is missing."""
        wanted, folders = find_system(system), diffusion_folders()
        if download:
            found = get_files(wanted, folders, folders[0], lambda needed: download_reporter(cls, needed.file))
        else:
            found = find_files(wanted, folders)
        report = in_words(wanted, found)
        show_text(cls, report)
        return io.NodeOutput(report)
