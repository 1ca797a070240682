"""The helpers for host tests, with nodes that ComfyUI brings itself."""

from collections.abc import Callable

from textovsr.tools.comfy_client import ComfyClient, Event, PromptResult
from textovsr.tools.comfy_server import ComfyServer


def copy_video(clip: str) -> dict[str, object]:
    """A prompt of core nodes: load a video, save it."""
    return {
        "1": {"class_type": "LoadVideo", "inputs": {"file": clip}},
        "2": {
            "class_type": "SaveVideo",
            "inputs": {"video": ["1", 0], "filename_prefix": "copy", "format": "auto", "codec": "auto"},
        },
    }


def test_a_prompt_is_followed_to_its_file(run_prompt: Callable[..., PromptResult], server: ComfyServer) -> None:
    seen: list[Event] = []
    result = run_prompt(copy_video("phone.mp4"), on_event=seen.append)
    (file,) = result.files()
    assert (server.base / "output" / file["subfolder"] / file["filename"]).stat().st_size > 0
    assert seen == result.events
    assert seen[-1]["type"] == "execution_success"


def test_a_failing_node_is_reported(client: ComfyClient) -> None:
    prompt = {"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}}}
    prompt["2"] = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "../../outside"}}
    result = client.run(prompt)
    assert result.status == "error"
    assert result.error is not None
    assert result.error["node_type"] == "SaveImage"
    assert "outside" in result.error["exception_message"]
