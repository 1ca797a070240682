"""Everything the nodes ask of ComfyUI: folders, memory, progress, cancelling. The only file that imports ``comfy``."""

import hashlib
import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import comfy.cli_args
import comfy.model_management
import comfy.model_patcher
import folder_paths
import torch
from comfy_api.latest import ComfyAPISync, io
from torch import Tensor

from ..core.config import CLIP_BATCH, FIDELITY, RecurrentConfig
from ..core.errors import SettingError
from ..core.job import Progress, Restored, Workplace
from ..core.quality.clip_files import CLIP_SUFFIXES
from ..core.quality.clip_iqa import ClipIqa, Pair, load_clip_iqa
from ..core.restorer import Restorer
from ..core.restorers.loading import make_restorer
from ..core.space import readable
from ..core.text.vlm import VisionLanguageModel
from ..core.text.vlm_folders import Precision, list_vlms, load_vlm, weights_size
from ..models.catalog import SUFFIXES, detail_end, find_weights, list_weights
from ..models.dial import load_dialled

log = logging.getLogger(__name__)

WEIGHTS_FOLDER = "textovsr"
"""Name of our folder under ComfyUI's ``models``, and in ``extra_model_paths.yaml``."""

VLM_FOLDERS = ("LLM", "LLavacheckpoints")
"""Names of the folders that vision-language models are looked for in, besides our own; downloads go to the first."""

CLIP_FOLDERS = ("clip_iqa", "clip_vision", "text_encoders")
"""Names of the folders that CLIP files are looked for in, besides our own; downloads go to the first."""

ALLOWED_PATHS = "TEXTOVSR_PATHS"
"""Environment variable: folders that videos may be read from besides ComfyUI's own, separated as in PATH."""

_PREVIEW_SECONDS = 1.0
_PREVIEW_SIDE = 512
_MEMORY_SHARE = 0.6
_CLIP_BYTES = 300  # a pixel, of the features of CLIP's ResNet; measured 204

folder_paths.add_model_folder_path(WEIGHTS_FOLDER, str(Path(folder_paths.models_dir) / WEIGHTS_FOLDER))
folder_paths.folder_names_and_paths[WEIGHTS_FOLDER][1].update(SUFFIXES)
for _name in (*VLM_FOLDERS, CLIP_FOLDERS[0]):
    folder_paths.add_model_folder_path(_name, str(Path(folder_paths.models_dir) / _name))
folder_paths.folder_names_and_paths[CLIP_FOLDERS[0]][1].update(CLIP_SUFFIXES)

check_cancelled = comfy.model_management.throw_exception_if_processing_interrupted


def weights_names() -> list[str]:
    """Weights to choose from: shipped ones first."""
    return list_weights(_weights_folders())


def vlm_folders() -> list[Path]:
    """Where vision-language models are looked for; the first is where downloads go."""
    return [Path(folder) for name in (*VLM_FOLDERS, WEIGHTS_FOLDER) for folder in folder_paths.get_folder_paths(name)]


def vlm_names() -> list[str]:
    """Vision-language models to choose from."""
    return list(list_vlms(vlm_folders()))


def clip_folders() -> list[Path]:
    """Where CLIP files are looked for; the first is where downloads go."""
    return [Path(folder) for name in (*CLIP_FOLDERS, WEIGHTS_FOLDER) for folder in folder_paths.get_folder_paths(name)]


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
    allowed = [Path(folder).resolve() for folder in _allowed_folders()]
    if not any(path.is_relative_to(folder) for folder in allowed):
        raise SettingError(
            f"Expected a video in {', '.join(map(str, allowed))}, got {path}; copy it there, or let the server's owner "
            f"add its folder to the environment variable {ALLOWED_PATHS} and start ComfyUI again."
        )
    return path


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


def loaded_restorer(name: str, config: RecurrentConfig, fidelity: float = FIDELITY) -> Restorer:
    """A restorer with its weights loaded under ComfyUI's memory management, ready to run."""
    path = find_weights(name, _weights_folders())
    changed = [end.stat().st_mtime_ns for end in (path, detail_end(path)) if end.is_file()]
    patcher = _patcher(path, fidelity, tuple(changed))
    comfy.model_management.load_models_gpu([patcher], force_full_load=True)
    device = patcher.load_device
    memory = int(comfy.model_management.get_free_memory(device) * _MEMORY_SHARE)
    return make_restorer(patcher.model, config, device, memory)


def loaded_clip_iqa(path: Path, pairs: tuple[Pair, ...], size: tuple[int, int]) -> ClipIqa:
    """CLIP-IQA under ComfyUI's memory management, ready for frames of a size (width, height) in pixels."""
    patcher = _clip_patcher(path, pairs, path.stat().st_mtime_ns)
    needed = max(size[0] * size[1], CLIP_BATCH[1]) * _CLIP_BYTES
    comfy.model_management.load_models_gpu([patcher], memory_required=needed, force_full_load=True)
    return patcher.model


@contextmanager
def loaded_vlm(folder: Path, precision: Precision, keep: bool) -> Iterator[VisionLanguageModel]:
    """A vision-language model under ComfyUI's memory management, off the graphics card afterwards.

    Args:
        folder: of the model.
        precision: what it computes in. In 4 bit it cannot be moved, and is let go as a whole.
        keep: hold it in main memory until another one is used.
    """
    device = comfy.model_management.get_torch_device()
    files = weights_size(folder)
    if precision == "4-bit":
        comfy.model_management.free_memory(files / 2, device)
        yield load_vlm(folder, device, precision)
        return
    if not keep:
        _vlm_patcher.cache_clear()
    make = _vlm_patcher if keep else _vlm_patcher.__wrapped__
    patcher = make(folder, precision, files)
    comfy.model_management.load_models_gpu([patcher], force_full_load=True)
    try:
        yield patcher.model
    finally:
        patcher.detach()
        comfy.model_management.soft_empty_cache()


def progress_reporter(node: type[io.ComfyNode], total: int | None = None) -> Callable[[Progress], None]:
    """A function that shows a job's progress on its node: bar, frames, fps, time left, the newest frame."""
    node_id = node.hidden.unique_id
    execution = ComfyAPISync().execution
    shown = 0.0

    def report(progress: Progress) -> None:
        nonlocal shown
        now = time.monotonic()
        last = progress.done == progress.total
        if now - shown < _PREVIEW_SECONDS and not last:
            return
        shown = now
        count = max(progress.total or 0, progress.done)
        execution.set_progress(progress.done, count, preview_image=_preview(progress.newest))
        _show_text(str(progress), node_id)

    return report


def download_reporter(node: type[io.ComfyNode], name: str) -> Callable[[int, int | None], None]:
    """A function that shows a download's bytes on its node, and stops it when the user cancels."""
    execution, shown = ComfyAPISync().execution, 0.0

    def report(done: int, total: int | None) -> None:
        nonlocal shown
        check_cancelled()
        if time.monotonic() - shown < _PREVIEW_SECONDS and done != total:
            return
        shown = time.monotonic()
        execution.set_progress(done, max(total or 0, done))
        of = "" if total is None else f" of {readable(total)}"
        show_text(node, f"downloading {name}: {readable(done)}{of}")

    return report


def show_outcome(node: type[io.ComfyNode], restored: Restored) -> None:
    """Write on a node what became of its job, and what was lost."""
    shots = "1 shot" if restored.shots == 1 else f"{restored.shots} shots"
    lines = [f"{restored.frames} frames, {shots}, in {restored.seconds:.0f} s"]
    lines += [f"lost: {line}" for line in restored.lost] + list(restored.notes)
    _show_text("\n".join(lines), node.hidden.unique_id)


def show_text(node: type[io.ComfyNode], text: str) -> None:
    """Write something on a node."""
    _show_text(text, node.hidden.unique_id)


def _show_text(text: str, node_id: str | None) -> None:
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)
    if server is not None and node_id is not None:
        server.send_progress_text(text, node_id)


def _preview(image: Tensor) -> Any:
    from PIL import Image

    step = max(max(image.shape[-2:]) // _PREVIEW_SIDE, 1)
    small = image[:, ::step, ::step].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0)  # (C,H,W) -> (H,W,C)
    return Image.fromarray(small.cpu().numpy())


def _weights_folders() -> list[Path]:
    return [Path(folder) for folder in folder_paths.get_folder_paths(WEIGHTS_FOLDER)]


def _allowed_folders() -> list[str]:
    own = [
        folder_paths.get_input_directory(),
        folder_paths.get_output_directory(),
        folder_paths.get_temp_directory(),
    ]
    return own + [folder for folder in os.environ.get(ALLOWED_PATHS, "").split(os.pathsep) if folder]


@lru_cache(maxsize=2)
def _patcher(path: Path, fidelity: float, changed: tuple[int, ...]) -> comfy.model_patcher.ModelPatcher:
    """The network under the host's management; kept, so that the host can keep it loaded between runs."""
    device = comfy.model_management.get_torch_device()
    network = load_dialled(path, fidelity)
    if device.type == "cuda":
        network = network.half()
    return comfy.model_patcher.ModelPatcher(network, device, torch.device("cpu"))


@lru_cache(maxsize=1)
def _clip_patcher(path: Path, pairs: tuple[Pair, ...], changed: int) -> comfy.model_patcher.ModelPatcher:
    device = comfy.model_management.get_torch_device()
    return comfy.model_patcher.ModelPatcher(load_clip_iqa(path, pairs), device, torch.device("cpu"))


@lru_cache(maxsize=1)
def _vlm_patcher(folder: Path, precision: Precision, files: int) -> comfy.model_patcher.ModelPatcher:
    device, rest = comfy.model_management.get_torch_device(), torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(load_vlm(folder, device, precision, rest), device, rest)
