"""ComfyUI's folders and names: where models, inputs, results and captions lie."""

import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
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
"""Environment variable: folders that videos may be read from besides ComfyUI's own, separated as in PATH.

Links in the output folder may lead there too, and results are then written there."""

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


def input_videos() -> list[str]:
    """Names of the videos in the input folder."""
    folder = Path(folder_paths.get_input_directory())
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    return folder_paths.filter_files_content_types(names, ["video"])


def resolve_video(name: str) -> Path:
    """The file behind an uploaded name or a path.

    Raises:
        SettingError: nothing was chosen, no file can have that name, or the path is outside the folders that the
            server's owner allowed.
    """
    if not name.strip():
        raise SettingError("Expected a video, got none; upload one, or write a path.")
    with _nameable(name, "a video"):
        path = Path(folder_paths.get_annotated_filepath(name.strip())).resolve()
        _check_allowed(path, "a video", name)
        path.exists()  # a name that is too long is found out here
    return path


def resolve_folder(name: str) -> Path:
    """The folder behind a name in the input folder, or a path; an empty name is the input folder.

    Raises:
        SettingError: there is none, no folder can have that name, or it is outside the folders that the server's owner
            allowed.
    """
    with _nameable(name, "a folder"):
        path = (Path(folder_paths.get_input_directory()) / Path(name.strip()).expanduser()).resolve()
        _check_allowed(path, "a folder", name)
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


def shared_folders() -> list[Path]:
    """Folders besides ComfyUI's own that the server's owner allowed."""
    given = os.environ.get(ALLOWED_PATHS, "").split(os.pathsep)
    return [Path(folder).resolve() for folder in given if folder]


@contextmanager
def _nameable(name: str, kind: str) -> Iterator[None]:
    """Name what the system cannot: NUL, halves of a character, more letters than a name may have, loops of links."""
    try:
        yield
    except (ValueError, OSError, RuntimeError) as error:
        raise SettingError(
            f"Expected the name of {kind}, got {name[:100]!r}, which nothing can be called: {error.args[-1]}; correct "
            "it."
        ) from error


def _check_allowed(path: Path, kind: str, name: str) -> None:
    """Says nothing of what lies outside: neither whether it is there nor where a link leads."""
    if not _is_allowed(path):
        raise SettingError(
            f"Expected {kind} in {', '.join(map(str, _allowed_folders()))}, got {name!r}; copy it there, or let the "
            f"server's owner add its folder to the environment variable {ALLOWED_PATHS} and start ComfyUI again."
        )


def _is_allowed(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in _allowed_folders())


def _allowed_folders() -> list[Path]:
    own = (
        folder_paths.get_input_directory(),
        folder_paths.get_output_directory(),
        folder_paths.get_temp_directory(),
    )
    return [*(Path(folder).resolve() for folder in own), *shared_folders()]
