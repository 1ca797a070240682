"""Saving a video to the output folder."""

from comfy_api.latest import Input, io, ui

from ..core.transcode import save_video
from .host.folders import workflow_tags
from .host.outputs import output_path, prefix_fault
from .search_aliases import search_aliases
from .video_file import as_source

CONTAINERS = ("auto", "mp4", "mkv", "mov", "webm")


class SaveVideo(io.ComfyNode):
    """See ``define_schema``."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Say what the node takes and gives."""
        return io.Schema(
            node_id="OVSR_SaveVideo",
            display_name="Save Video (TextOVSR)",
            category="TextOVSR/video",
            description="Writes a video to ComfyUI's output folder, by copying wherever that is exact: no second loss "
            "of quality, with sound, subtitles and exact times. The workflow is stored in the file.",
            **search_aliases("OVSR_SaveVideo"),
            inputs=[
                io.Video.Input("video", tooltip="The video to save."),
                io.String.Input(
                    "filename_prefix",
                    default="video/TextOVSR",
                    tooltip="Folder and beginning of the name inside the output folder; %date:yyyy-MM-dd% and the like "
                    "are filled in.",
                ),
                io.Combo.Input(
                    "container",
                    options=list(CONTAINERS),
                    default="auto",
                    optional=True,
                    tooltip="Kind of file; auto keeps that of the video, or takes mkv where it cannot be written.",
                ),
            ],
            outputs=[],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo],
            is_output_node=True,
        )

    @classmethod
    def validate_inputs(cls, filename_prefix: str | None) -> bool | str:
        """Say before the run that the prefix leads out of the output folder."""
        return prefix_fault(filename_prefix)

    @classmethod
    def execute(cls, video: Input.Video, filename_prefix: str, container: str = "auto") -> io.NodeOutput:
        """Copy or encode into the next free name."""
        source = as_source(video)
        own = source.path.suffix.lower().removeprefix(".")
        suffix = "." + ((own if own in CONTAINERS else "mkv") if container == "auto" else container)
        path, subfolder = output_path(filename_prefix, video.get_dimensions(), suffix)
        save_video(source, path, metadata=workflow_tags(cls.hidden))
        saved = ui.SavedResult(path.name, subfolder, io.FolderType.output)
        return io.NodeOutput(ui=ui.PreviewVideo([saved]))
