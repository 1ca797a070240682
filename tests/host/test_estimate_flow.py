"""EstimateFlow in a real ComfyUI: videos and images, the preview, RAFT from the disk, what other nodes get."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from textovsr.models.raft import RAFT, SMALL
from textovsr.tools.comfy_client import ComfyClient, PromptResult
from textovsr.tools.comfy_server import ComfyServer

Prompt = dict[str, Any]
SHIPPED = "SPyNet (shipped)"


def journey(file: str, **settings: Any) -> Prompt:
    """LoadVideo -> EstimateFlow -> PreviewImage."""
    return {
        "1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": file, "duration": 0.5}},
        "2": {"class_type": "OVSR_EstimateFlow", "inputs": {"video": ["1", 0], **settings}},
        "3": {"class_type": "PreviewImage", "inputs": {"images": ["2", 1]}},
    }


def pictures(result: PromptResult, server: ComfyServer) -> list[np.ndarray]:
    """What the preview shows."""
    shown = result.outputs["3"]["images"]
    return [np.asarray(Image.open(server.base / "temp" / file["subfolder"] / file["filename"])) for file in shown]


def test_a_video_s_flow_is_shown(
    phone_clip: Path, run_prompt: Callable[..., PromptResult], server: ComfyServer
) -> None:
    result = run_prompt(journey(phone_clip.name, preview_frames=4, cut_threshold=1.0))
    shown = pictures(result, server)
    assert len(shown) == 3
    assert max(shown[0].shape[:2]) <= 512
    assert any((picture < 200).any() and (picture > 200).any() for picture in shown)
    assert any("progress" in event["type"] for event in result.events)


def test_images_move_too_and_a_still_one_is_white(
    webcam_clip: Path, run_prompt: Callable[..., PromptResult], server: ComfyServer
) -> None:
    prompt = journey(webcam_clip.name, preview_frames=3)
    prompt["1"]["inputs"]["duration"] = 0.1
    prompt["4"] = {"class_type": "GetVideoComponents", "inputs": {"video": ["1", 0]}}
    prompt["5"] = {"class_type": "ImageFromBatch", "inputs": {"image": ["4", 0], "batch_index": 0, "length": 1}}
    prompt["6"] = {"class_type": "RepeatImageBatch", "inputs": {"image": ["5", 0], "amount": 3}}
    prompt["2"]["inputs"]["video"] = ["6", 0]
    shown = pictures(run_prompt(prompt), server)
    assert len(shown) == 2
    assert np.mean([picture > 200 for picture in shown]) > 0.95


def test_raft_from_the_disk_is_listed_and_used(
    phone_clip: Path, run_prompt: Callable[..., PromptResult], server: ComfyServer, client: ComfyClient
) -> None:
    folder = server.base / "models" / "optical_flow"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(RAFT(SMALL).state_dict(), folder / "raft_small_random.pth")
    prompt = journey(phone_clip.name, preview_frames=2, finer="1", network="raft_small_random.pth")
    assert len(pictures(run_prompt(prompt), server)) == 1


def test_a_network_that_is_gone_is_named(phone_clip: Path, client: ComfyClient) -> None:
    result = client.run(journey(phone_clip.name, network="gone.pth"))
    assert result.status != "success"
    assert "gone.pth" in str(result.error)


def test_the_socket_tells_any_part_of_the_motion(nodes: dict[str, Any]) -> None:
    """In process: what a sampler gets from the socket."""
    generator = torch.Generator().manual_seed(0)
    wide = torch.nn.functional.interpolate(
        torch.rand(1, 3, 12, 20, generator=generator), size=(96, 160), mode="bicubic"
    )
    images = torch.stack([wide[0, :, :, 2 * t : 128 + 2 * t] for t in range(6)]).clamp(0, 1).movedim(1, -1)
    with torch.inference_mode():
        source, preview = nodes["OVSR_EstimateFlow"].execute(images, preview_frames=1).args
    assert preview.shape == (1, 96, 128, 3)
    assert source.length == 6
    motion = source.between(2, 5, (12, 16))
    assert motion.length == 3
    assert float(motion.forward_flow[:, 0, 3:-3, 3:-3].median()) == pytest.approx(-2 / 8, abs=0.05)
    assert not motion.forward_flow.is_inference()


def test_the_user_can_stop_it(nodes: dict[str, Any]) -> None:
    import comfy.model_management

    comfy.model_management.interrupt_current_processing(True)
    try:
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            nodes["OVSR_EstimateFlow"].execute(torch.rand(3, 32, 32, 3))
    finally:
        comfy.model_management.interrupt_current_processing(False)
