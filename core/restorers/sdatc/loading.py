"""SDATC's networks: what training left, on top of Stable Diffusion 2.1's files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from ....models.registry import read_metadata, read_state_dict
from ....models.sdatc.base import load_unet, load_vae
from ....models.sdatc.checkpoint import STAGE_FILES, build_stage1, build_stage2, find_stage, read_header
from ....models.sdatc.config import SdatcNetConfig
from ...errors import UnknownCheckpointError, WeightsError, WeightsNotFoundError
from ...motion.networks import load_flow_net
from ...text.open_clip_h import load_open_clip_h

HOW_TO_TRAIN = (
    "nobody has published any, so train them, on Stable Diffusion 2.1 base and a folder of videos: `textovsr train "
    "sdatc --data VIDEOS --set base.unet=FILE`, see `textovsr train --help`. Its distortion control module is trained "
    "and ships: `textovsr upscale --weights sdatc-dcm`."
)
"""What a user without weights needs to know."""

_FILES = tuple(f"diffusion_pytorch_model{kind}" for kind in (".safetensors", ".fp16.safetensors", ".bin", ".fp16.bin"))


@dataclass(frozen=True)
class SdatcFiles:
    """The files of SDATC's networks.

    Attributes:
        stage1: what the first stage of training left, see ``models.sdatc.checkpoint``; None if there is none.
        stage2: what the second stage left.
        unet: Stable Diffusion 2.1 base: a single file, a folder as diffusers has it, or the file of the UNet in there.
        vae: its autoencoder, in the same ways; None takes the one in ``unet``.
        text: OpenCLIP ViT-H-14's text tower, see ``load_open_clip_h``; None takes the one in ``unet``.
        flow: see ``load_flow_net``; None takes the shipped one.
    """

    stage1: Path | None
    stage2: Path | None
    unet: Path
    vae: Path | None = None
    text: Path | None = None
    flow: Path | None = None


def load_sdatc_parts(files: SdatcFiles) -> dict[str, nn.Module]:
    """The networks of a ``SdatcRestorer``: "dcm", "denoiser", "vae", "text" and "flow", on the CPU, in eval mode.

    Memory: tensors of Stable Diffusion stay in the files until they are used, which must not change meanwhile; those
    that a file does not hold in single precision are copied.

    Raises:
        WeightsError: a stage was not trained.
        WeightsNotFoundError: it is missing, or a file is not there.
        DamagedWeightsError: a file is truncated or holds code.
        UnknownCheckpointError: a file is another one, or something is missing in it, which is named.
    """
    stage1, stage2, unet = files.stage1, files.stage2, files.unet
    states, configs = zip(*(_read_stage(path, stage) for stage, path in enumerate((stage1, stage2), 1)), strict=True)
    of_unet, of_vae = network_file(unet, "unet"), network_file(files.vae or unet, "vae")
    held = read_state_dict(of_unet, mapped=True)
    network = load_unet(held, str(of_unet))
    pictures = load_vae(held if of_vae == of_unet else read_state_dict(of_vae, mapped=True), str(of_vae))
    dcm, denoiser = build_stage1(states[0], configs[0], network, str(stage1))
    return {
        "dcm": dcm,
        "denoiser": denoiser,
        "vae": build_stage2(states[1], configs[1], pictures, str(stage2)),
        "text": load_open_clip_h(files.text or unet),
        "flow": load_flow_net(files.flow),
    }


def _read_stage(path: Path | None, stage: int) -> tuple[Mapping[str, Tensor], SdatcNetConfig]:
    """Tensors and sizes of a stage that was trained."""
    published = STAGE_FILES[stage - 1]
    if path is None or not path.is_file():
        raise WeightsNotFoundError(
            f"SDATC needs trained weights: expected {published}, found {'nothing' if path is None else f'no {path}'}; "
            f"{HOW_TO_TRAIN}"
        )
    state = read_state_dict(path, mapped=True)
    if find_stage(state) != stage:
        raise UnknownCheckpointError(
            f"Expected SDATC's {published}, got {path} with keys such as {sorted(state)[:3]}; choose the file that "
            f"stage {stage} of `textovsr train sdatc` left."
        )
    config, steps = read_header(read_metadata(path), str(path))
    if not steps:
        raise WeightsError(
            f"SDATC needs trained weights: expected {path.name} to be trained, got 0 steps in {path}; {HOW_TO_TRAIN}"
        )
    return state, config


def network_file(path: Path, part: str) -> Path:
    """The file of a network: a file itself, or what a folder as diffusers has it holds of ``part``, unet or vae.

    Raises:
        WeightsNotFoundError: there is none.
    """
    if path.is_file():
        return path
    for folder in (path / part, path):
        for name in _FILES:
            if (folder / name).is_file():
                return folder / name
    raise WeightsNotFoundError(
        f"Expected Stable Diffusion 2.1 base at {path}: a single file, or a folder with {part}/{_FILES[0]}; correct "
        "the path."
    )
