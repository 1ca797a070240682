"""ComfyUI's folders and names: where models, inputs, results and captions lie."""

import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import Any

import comfy.cli_args
import folder_paths

from ...core.errors import SettingError
from ...core.job import Workplace
from ...core.quality.clip_files import CLIP_SUFFIXES
from ...core.text.vlm_folders import list_vlms
from ...models.catalog import SUFFIXES, list_weights

WEIGHTS_FOLDER = "textovsr"
"""Name of our folder under ComfyUI's ``models``, and in ``extra_model_paths.yaml``."""

VLM_FOLDERS = ("LLM", "LLavacheckpoints")
"""Names of the folders that vision-language models are looked for in, besides our own; downloads go to the first."""

CLIP_FOLDERS = ("clip_iqa", "clip_vision", "text_encoders")
"""Names of the folders that CLIP files are looked for in, besides our own; downloads go to the first."""

FLOW_FOLDER = "optical_flow"
"""Name of the folder that flow networks are looked for in, besides our own."""

DIFFUSION_FOLDERS = ("diffusion_models", "checkpoints", "vae", "text_encoders")
"""Names of the folders that files of diffusion systems are looked for in, besides our own and that of flow networks."""

ALLOWED_PATHS = "TEXTOVSR_PATHS"
"""Environment variable: folders that videos may be read from besides ComfyUI's own, separated as in PATH."""

folder_paths.add_model_folder_path(WEIGHTS_FOLDER, str(Path(folder_paths.models_dir) / WEIGHTS_FOLDER))
folder_paths.folder_names_and_paths[WEIGHTS_FOLDER][1].update(SUFFIXES)
for _name in (*VLM_FOLDERS, CLIP_FOLDERS[0], FLOW_FOLDER):
    folder_paths.add_model_folder_path(_name, str(Path(folder_paths.models_dir) / _name))
folder_paths.folder_names_and_paths[CLIP_FOLDERS[0]][1].update(CLIP_SUFFIXES)
folder_paths.folder_names_and_paths[FLOW_FOLDER][1].update(SUFFIXES)


def weights_folders() -> list[Path]:
    """Where our weights are looked for."""
    return [Path(folder) for folder in folder_paths.get_folder_paths(WEIGHTS_FOLDER)]


def weights_names() -> list[str]:
    """Weights to choose from: shipped ones first."""
    return list_weights(weights_folders())


def vlm_folders() -> list[Path]:
    """Where vision-language models are looked for; the first is where downloads go."""
    return [Path(folder) for name in (*VLM_FOLDERS, WEIGHTS_FOLDER) for folder in folder_paths.get_folder_paths(name)]


def vlm_names() -> list[str]:
    """Vision-language models to choose from."""
    return list(list_vlms(vlm_folders()))


def clip_folders() -> list[Path]:
    """Where CLIP files are looked for; the first is where downloads go."""
    return [Path(folder) for name in (*CLIP_FOLDERS, WEIGHTS_FOLDER) for folder in folder_paths.get_folder_paths(name)]


def flow_folders() -> list[Path]:
    """Where flow networks are looked for."""
    return [Path(folder) for name in (FLOW_FOLDER, WEIGHTS_FOLDER) for folder in folder_paths.get_folder_paths(name)]


def diffusion_folders() -> list[Path]:
    """Where the files of diffusion systems are looked for; the first is where downloads go, the last ComfyUI's own."""
    names = (WEIGHTS_FOLDER, *DIFFUSION_FOLDERS, FLOW_FOLDER)
    folders = [Path(folder) for name in names for folder in folder_paths.get_folder_paths(name)]
    return [*folders, Path(comfy.cli_args.__file__).parent / "text_encoders" / "t5_tokenizer"]


def temporary_path(suffix: str) -> Path:
    """A fresh name in ComfyUI's temporary folder, which the host empties at its start and end."""
    folder = Path(folder_paths.get_temp_directory()) / "textovsr"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{uuid.uuid4().hex}{suffix}"


def job_place() -> Workplace:
    """Where jobs keep what is finished: in the output folder, since ComfyUI empties the temporary one at its start."""
    return Workplace(jobs=Path(folder_paths.get_output_directory()) / ".textovsr")


def output_path(prefix: str, size: tuple[int, int], suffix: str) -> tuple[Path, str]:
    """The next free numbered name in the output folder for a prefix, and its subfolder."""
    folder, name, counter, subfolder, _ = folder_paths.get_save_image_path(
        prefix, folder_paths.get_output_directory(), *size
    )
    return Path(folder) / f"{name}_{counter:05}_{suffix}", subfolder


def captions_path(prefix: str, video: Path, text: str) -> Path:
    """Where to save a video's captions in the output folder.

    Without a prefix that is the video's own name, unless a file of other captions has it; else the next numbered name.
    """
    passing = video.is_relative_to(Path(folder_paths.get_temp_directory()))  # its name says nothing
    plain = Path(folder_paths.get_output_directory()) / f"{video.stem}.vtt"
    if not prefix and not passing and (not plain.exists() or plain.read_bytes() == text.encode()):
        return plain
    return output_path(prefix or ("captions" if passing else video.stem), (0, 0), ".vtt")[0]


def input_videos() -> list[str]:
    """Names of the videos in the input folder."""
    folder = Path(folder_paths.get_input_directory())
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    return folder_paths.filter_files_content_types(names, ["video"])


def resolve_video(name: str) -> Path:
    """The file behind an uploaded name or a path.

    Raises:
        SettingError: nothing was chosen, or the path is outside the folders that the server's owner allowed.
    """
    if not name.strip():
        raise SettingError("Expected a video, got none; upload one, or write a path.")
    path = Path(folder_paths.get_annotated_filepath(name.strip())).expanduser().resolve()
    _check_allowed(path, "a video")
    return path


def resolve_folder(name: str) -> Path:
    """The folder behind a name in the input folder, or a path; an empty name is the input folder.

    Raises:
        SettingError: there is none, or it is outside the folders that the server's owner allowed.
    """
    path = (Path(folder_paths.get_input_directory()) / Path(name.strip()).expanduser()).resolve()
    _check_allowed(path, "a folder")
    if not path.is_dir():
        raise SettingError(f"Expected a folder {path}, found none; make it, or correct the name.")
    return path


def videos_in(folder: Path, deep: bool) -> list[Path]:
    """The videos in a folder, in no order; ``deep`` looks into the folders in it.

    Hidden ones, and those that a link leads to outside of the allowed folders, are left out.
    """
    found = (path for path in (folder.rglob("*") if deep else folder.iterdir()) if path.is_file())
    seen = (path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    allowed = [str(path) for path in seen if _is_allowed(path.resolve())]
    return [Path(name) for name in folder_paths.filter_files_content_types(allowed, ["video"])]


def fingerprint(path: Path, *settings: object) -> str:
    """A hash that changes with the file's size or time of change, or with the settings."""
    stat = path.stat()
    return hashlib.sha256(repr((str(path), stat.st_size, stat.st_mtime_ns, *settings)).encode()).hexdigest()


def workflow_tags(hidden: Any) -> dict[str, str]:
    """The prompt and the workflow as tags for a saved file; none if the server runs with ``--disable-metadata``."""
    if comfy.cli_args.args.disable_metadata:
        return {}
    tags = {"prompt": hidden.prompt, **(hidden.extra_pnginfo or {})}
    return {key: json.dumps(value) for key, value in tags.items() if value is not None}


def _check_allowed(path: Path, kind: str) -> None:
    if not _is_allowed(path):
        raise SettingError(
            f"Expected {kind} in {', '.join(map(str, _allowed_folders()))}, got {path}; copy it there, or let the "
            f"server's owner add its folder to the environment variable {ALLOWED_PATHS} and start ComfyUI again."
        )


def _is_allowed(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in _allowed_folders())


def _allowed_folders() -> list[Path]:
    own = [
        folder_paths.get_input_directory(),
        folder_paths.get_output_directory(),
        folder_paths.get_temp_directory(),
    ]
    more = [folder for folder in os.environ.get(ALLOWED_PATHS, "").split(os.pathsep) if folder]
    return [Path(folder).resolve() for folder in own + more]
