"""Folders of vision-language models: finding them, and from a folder to a model that can be asked."""

import importlib.util
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch

from ..device import memory_budget
from ..errors import DamagedWeightsError, MissingDependencyError, UnknownCheckpointError, WeightsNotFoundError
from .vlm import VisionLanguageModel
from .vlm_download import REPOSITORY

Precision = Literal["auto", "bfloat16", "float16", "float32", "4-bit"]
"""What a model computes in; auto chooses by the device."""

AUTO = "auto"
"""Stands for the first model there is."""

_DEPTH = 2  # folders/name or folders/author/name
_LEAST_TRANSFORMERS = (4, 46)
_ORIGINAL = ("llava_llama", "llava_mistral", "llava_qwen", "llava_mpt")
_DAMAGED = (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError)
"""What transformers raises on a folder that is not whole or not its own; it has no class for it."""


def list_vlms(folders: Sequence[Path]) -> dict[str, Path]:
    """Names of the models in ``folders``, sorted, and where they are; of two with one name the first.

    Only ``config.json`` is read: a model is what has a part that sees.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        for depth in range(1, _DEPTH + 1):
            for config in sorted(folder.glob("*/" * depth + "config.json")):
                if _sees(config) and not config.relative_to(folder).as_posix().startswith("."):  # half a download
                    found.setdefault(config.parent.relative_to(folder).as_posix(), config.parent)
    return dict(sorted(found.items()))


def find_vlm(name: str, folders: Sequence[Path]) -> Path:
    """The folder of a model: a name from ``list_vlms``, or ``AUTO`` for the first one.

    Raises:
        WeightsNotFoundError: there is none; the message names the ways to get one.
    """
    found = list_vlms(folders)
    if name == AUTO and found:
        return next(iter(found.values()))
    if name in found:
        return found[name]
    wanted = "a vision-language model" if name == AUTO else f"the vision-language model {name!r}"
    places = " or ".join(str(folder) for folder in folders) or "a folder of models"
    raise WeightsNotFoundError(
        f"Expected {wanted}, found {', '.join(found) or 'none'}. There are three ways: put the folder of one, such as "
        f"{REPOSITORY} from Hugging Face, into {places}; or have it fetched, with "
        "`download`; or write the captions yourself, which needs no model."
    )


def load_vlm(
    folder: Path, device: torch.device, precision: Precision = "auto", place: torch.device | None = None
) -> VisionLanguageModel:
    """Load a model from its folder; nothing is fetched from anywhere, and no code of the folder is run.

    Args:
        folder: as Hugging Face publishes a model: config.json, processor and .safetensors.
        device: where it will run, which decides the precision.
        precision: what it computes in.
        place: where to put it now; nothing is ``device``. In 4 bit it always goes to ``device``.

    Raises:
        WeightsNotFoundError: there is no such folder, or it has no config.json.
        DamagedWeightsError: files are missing, truncated, or not those of the model.
        UnknownCheckpointError: transformers does not know this kind of model as one that sees and writes.
        MissingDependencyError: a package is missing or too old.
    """
    _check_packages(precision)
    config = _read_config(folder)
    with _explained(folder, config.model_type):
        processor = _transformers().AutoProcessor.from_pretrained(folder, local_files_only=True)
        network, report = _load_network(folder, config, device, precision)
    if report["missing_keys"] or report["mismatched_keys"]:
        lacking = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
        raise DamagedWeightsError(
            f"Expected all weights of {folder.name}, {len(lacking)} are missing or of another size, such as "
            f"{lacking[0]}; copy or download {folder} again."
        )
    _complete(processor, config)
    if precision != "4-bit":
        network.to(place or device)
    return VisionLanguageModel(network.eval(), processor)


def pick_dtype(device: torch.device, precision: Precision, weights: int) -> torch.dtype:
    """What to compute in.

    On CUDA bfloat16, or float16 where the card has no bfloat16; on a CPU float32, or bfloat16 where float32 would take
    more memory than there is; float16 on anything else.

    Args:
        device: where the model will run.
        precision: a wish; in 4 bit this is what is computed in, not what is stored.
        weights: bytes of the model's files, taken as 16 bits a number.
    """
    if precision not in ("auto", "4-bit"):
        return getattr(torch, precision)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "cpu":
        return torch.float32 if 2 * weights < memory_budget(device) else torch.bfloat16
    return torch.float16


def weights_size(folder: Path) -> int:
    """Bytes of a model's weights."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


@contextmanager
def _explained(folder: Path, kind: str) -> Iterator[None]:
    """Turn what the libraries raise on a folder into our errors."""
    from safetensors import SafetensorError

    try:
        yield
    except ImportError as error:
        raise MissingDependencyError(
            f"Expected the packages that {folder.name} needs, got: {_first_line(error)}; install what is named, or "
            "copy the model again if its files are not whole."
        ) from error
    except (*_DAMAGED, SafetensorError) as error:
        if "Unrecognized configuration class" in str(error):
            raise UnknownCheckpointError(
                f"Expected a model that sees and writes, got {kind} in {folder}; choose an image-text-to-text model, "
                "or a newer transformers that knows this one."
            ) from error
        raise DamagedWeightsError(
            f"Expected a whole model in {folder}, got {type(error).__name__}: {_first_line(error)}; "
            "copy or download it again (config, processor, tokenizer and .safetensors files)."
        ) from error


def _load_network(folder: Path, config: Any, device: torch.device, precision: Precision) -> tuple[Any, dict[str, Any]]:
    transformers = _transformers()
    dtype = pick_dtype(device, precision, weights_size(folder))
    chosen: dict[str, Any] = {"dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype": dtype}
    if precision == "4-bit":
        chosen["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
        )
        chosen["device_map"] = {"": device}
    network, report = transformers.AutoModelForImageTextToText.from_pretrained(
        folder, config=config, local_files_only=True, use_safetensors=True, output_loading_info=True, **chosen
    )
    own = network.generation_config  # a folder's own habits of drawing words are not taken over
    ends = {name: getattr(own, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    network.generation_config = transformers.GenerationConfig(**ends)
    return network, report


def _read_config(folder: Path) -> Any:
    path = folder / "config.json"
    if not path.is_file():
        raise WeightsNotFoundError(f"Expected a model's folder with config.json, got {folder}; correct the path.")
    kind = _values(path).get("model_type", "")
    if kind in _ORIGINAL:
        raise UnknownCheckpointError(
            f"Expected a model in the format of transformers, got LLaVA's original one ({kind}) in {folder}; take the "
            "converted model of the same name from llava-hf on Hugging Face."
        )
    try:
        return _transformers().AutoConfig.from_pretrained(folder, local_files_only=True)
    except (*_DAMAGED, ImportError) as error:
        raise UnknownCheckpointError(
            f"Expected a kind of model that transformers knows, got {kind or 'none'} in {path}: "
            f"{_first_line(error)}; choose another model or a newer transformers."
        ) from error


def _complete(processor: Any, config: Any) -> None:
    """Early folders of LLaVA leave out what their processor needs to count a picture's tokens."""
    tokenizer = processor.tokenizer
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if config.model_type not in ("llava", "llava_next") or processor.patch_size is not None:
        return
    processor.patch_size = config.vision_config.patch_size
    processor.vision_feature_select_strategy = config.vision_feature_select_strategy
    processor.num_additional_image_tokens = 1  # the class token of CLIP, which all of them see with


def _check_packages(precision: Precision) -> None:
    transformers = _transformers()
    version = tuple(int(part) for part in transformers.__version__.split(".")[:2])
    if version < _LEAST_TRANSFORMERS:
        raise MissingDependencyError(
            f"Expected transformers {'.'.join(map(str, _LEAST_TRANSFORMERS))} or newer for captions, got "
            f"{transformers.__version__}; run `pip install -U transformers`."
        )
    missing = [name for name in ("bitsandbytes", "accelerate") if importlib.util.find_spec(name) is None]
    if precision == "4-bit" and missing:
        raise MissingDependencyError(
            f"Expected {' and '.join(missing)} for 4 bit, found none; run `pip install {' '.join(missing)}`, or choose "
            "another precision."
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or "no reason").splitlines()[0]


def _transformers() -> Any:
    import transformers

    return transformers


def _sees(path: Path) -> bool:
    values = _values(path)
    kinds = values.get("architectures") or [""]
    writes = str(kinds[0]).endswith(("ForConditionalGeneration", "ForCausalLM"))  # a CLIP sees and writes nothing
    return writes and ("vision_config" in values or "mm_vision_tower" in values)


def _values(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
