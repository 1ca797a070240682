"""MotionGuidedSampler and MotionGuidance: as classes, and as whole graphs in a real ComfyUI."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from textovsr.core.video.reader import VideoReader
from textovsr.tests.helpers.clips import Clip, write_clip
from textovsr.tests.helpers.diffusion import CONDITIONING, conditioning, save_checkpoint
from textovsr.tests.host.holding import held
from textovsr.tools.comfy_client import ComfyClient, Event, PromptResult, node_progress
from textovsr.tools.comfy_server import ComfyServer

Nodes = dict[str, Any]
Prompt = dict[str, Any]

FRAMES, SIDE = 6, 8
SETTINGS: dict[str, Any] = {
    "seed": 5, "steps": 2, "cfg": 1.5, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0,
    "guidance_scale": 1.0, "mode": "corrected", "start_step": 0, "end_step": 10_000, "every": 1, "keep_detail": True,
    "window_length": 4, "window_overlap": 1, "curve": "code", "noise": "rescheduled",
}  # fmt: skip


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where small checkpoints lie."""
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="module")
def load(host: ModuleType, checkpoints: Path) -> Callable[[Any], Any]:
    """A small model of a kind, as CheckpointLoaderSimple gives it."""
    import comfy.sd

    def loaded(kind: Any) -> Any:
        path = checkpoints / save_checkpoint(checkpoints, kind)
        return comfy.sd.load_checkpoint_guess_config(str(path), output_clip=False)[0]

    return loaded


@pytest.fixture(scope="module")
def model(load: Callable[[Any], Any]) -> Any:
    return load("sd15")


def footage(frames: int = FRAMES) -> Tensor:
    """An IMAGE batch of a drifting texture."""
    texture = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    large = torch.nn.functional.interpolate(texture, size=(64, 64), mode="bilinear")
    return torch.cat([large.roll(2 * t, dims=3) for t in range(frames)]).movedim(1, -1)


def latent(frames: int = FRAMES) -> dict[str, Any]:
    samples = torch.randn(1, 4, SIDE, SIDE, generator=torch.Generator().manual_seed(1)).repeat(frames, 1, 1, 1)
    return {"samples": samples, "textovsr_source": {"height": 64}}


def sample(
    nodes: Nodes, model: Any, given: dict[str, Any] | None = None, motion: Any = None, **changed: Any
) -> dict[str, Any]:
    prompts = changed.pop("prompts", (conditioning(1), conditioning(2)))
    settings = SETTINGS | changed
    given = given or latent()
    motion = footage() if motion is None else motion
    with torch.inference_mode():  # as the host runs its nodes
        return dict(nodes["OVSR_MotionGuidedSampler"].execute(model, *prompts, given, motion, **settings).result[0])


def test_without_guidance_and_windows_it_is_ksampler(nodes: Nodes, model: Any) -> None:
    import nodes as core

    plain = {"guidance_scale": 0.0, "window_length": 0, "noise": "own for every frame"}
    for denoise in (1.0, 0.5):
        expected = core.common_ksampler(
            model, 5, 2, 1.5, "euler", "normal", conditioning(1), conditioning(2), latent(), denoise
        )[0]
        found = sample(nodes, model, denoise=denoise, **plain)
        assert torch.equal(found["samples"], expected["samples"])
    assert found["textovsr_source"] == {"height": 64}


def test_guidance_changes_what_is_sampled_and_the_same_seed_gives_the_same(nodes: Nodes, model: Any) -> None:
    first, again, other = sample(nodes, model), sample(nodes, model), sample(nodes, model, guidance_scale=0.0)
    assert torch.equal(first["samples"], again["samples"])
    assert not torch.allclose(first["samples"], other["samples"], atol=1e-3)
    assert first["samples"].shape == (FRAMES, 4, SIDE, SIDE)


def test_flow_video_and_images_guide_alike(nodes: Nodes, model: Any, tmp_path: Path) -> None:
    flow = nodes["OVSR_EstimateFlow"].execute(footage(), preview_frames=1).result[0]
    expected = sample(nodes, model)["samples"]
    assert torch.equal(sample(nodes, model, motion=flow)["samples"], expected)
    assert torch.equal(sample(nodes, model, motion=flow)["samples"], expected)  # from the first frame again


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_any_number_of_frames(frames: int, nodes: Nodes, model: Any) -> None:
    found = sample(nodes, model, latent(frames), footage(frames), window_overlap=3)
    assert found["samples"].shape[0] == frames


@pytest.mark.filterwarnings("ignore")  # of the host and of what its noise augmentation uses
def test_windows_see_the_hints_of_their_frames(nodes: Nodes, load: Callable[[Any], Any]) -> None:
    """The x4 upscaler is given each frame's own picture: windows of one give what frames give by themselves."""
    upscaler = load("sdx4")
    pictures = torch.rand(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3)) * 2 - 1
    given = {"samples": torch.zeros(3, 4, SIDE, SIDE)}

    def prompts(chosen: Tensor) -> tuple[Any, Any]:
        hints = {"concat_image": chosen, "noise_augmentation": 0.0}
        return tuple([[text[0][0], hints]] for text in (conditioning(1, 1024), conditioning(2, 1024)))  # type: ignore

    plain = {"guidance_scale": 0.0, "noise": "rescheduled"}
    whole = sample(
        nodes, upscaler, given, footage(3), prompts=prompts(pictures), window_length=1, window_overlap=0, **plain
    )
    for index in range(3):
        one = {"samples": given["samples"][:1]}
        alone = sample(nodes, upscaler, one, footage(1), prompts=prompts(pictures[index : index + 1]), **plain)
        torch.testing.assert_close(whole["samples"][index], alone["samples"][0], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(whole["samples"][0], whole["samples"][1], atol=1e-2)


def test_other_families_and_patched_models_are_sampled(nodes: Nodes, load: Callable[[Any], Any]) -> None:
    """SD2.1 as it is, and with weights changed as a LoRA changes them."""
    model = load("sd21")
    prompts = (conditioning(1, 1024), conditioning(2, 1024))
    plain = sample(nodes, model, prompts=prompts)["samples"]
    patched = model.clone()
    key = "diffusion_model.out.2.weight"
    change = torch.randn(model.model.state_dict()[key].shape, generator=torch.Generator().manual_seed(4)) * 0.01
    assert patched.add_patches({key: ("diff", (change,))}, 1.0) == [key]
    changed = sample(nodes, patched, prompts=prompts)["samples"]
    assert torch.isfinite(plain).all()
    assert torch.isfinite(changed).all()
    assert not torch.allclose(plain, changed, atol=1e-3)


def test_a_video_that_is_too_short_is_named(nodes: Nodes, model: Any) -> None:
    with pytest.raises(Exception, match=r"connect the video that the latents were made from"):
        sample(nodes, model, motion=footage(3))


def test_a_sampler_that_is_not_steered_is_given_back(nodes: Nodes) -> None:
    import comfy.samplers

    sampler = comfy.samplers.sampler_object("euler")
    names = ("guidance_scale", "mode", "start_step", "end_step", "every", "keep_detail")
    settings = {name: SETTINGS[name] for name in names}
    guide = nodes["OVSR_MotionGuidance"].execute
    assert guide(sampler, latent(1), footage(1), **settings).result[0] is sampler
    assert guide(sampler, latent(), footage(), **settings | {"guidance_scale": 0.0}).result[0] is sampler
    assert guide(sampler, latent(), footage(), **settings).result[0] is not sampler


@pytest.fixture(scope="module")
def tiny(server: ComfyServer) -> str:
    """The small checkpoint in the server."""
    return save_checkpoint(server.base / "models" / "checkpoints")


@pytest.fixture
def clip(tmp_path: Path, put_input: Callable[[Path], str]) -> str:
    """Nine frames at uneven times, with a sound."""
    times = (0, 1, 2, 4, 5, 9, 10, 11, 12)
    write_clip(tmp_path / "nine.mkv", Clip(width=72, height=64, pts=times, codec="ffv1", audio="flac"))
    return put_input(tmp_path / "nine.mkv")


def start(clip: str, tiny: str) -> Prompt:
    return {
        "1": {"class_type": "OVSR_LoadVideo", "inputs": {"file": clip}},
        "2": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": tiny}},
        "3": {"class_type": CONDITIONING, "inputs": {"seed": 1, "width": 768}},
        "4": {"class_type": CONDITIONING, "inputs": {"seed": 2, "width": 768}},
        "5": {"class_type": "OVSR_EncodeVideo", "inputs": {"video": ["1", 0], "vae": ["2", 2]}},
    }


def end(latents: str) -> Prompt:
    inputs = {"samples": [latents, 0], "vae": ["2", 2], "source": ["1", 0], "codec": "ffv1"}
    return {
        "8": {"class_type": "OVSR_DecodeVideo", "inputs": inputs},
        "9": {"class_type": "OVSR_SaveVideo", "inputs": {"video": ["8", 0], "filename_prefix": "guided"}},
    }


def in_one_node(clip: str, tiny: str, **changed: Any) -> Prompt:
    inputs = {
        "model": ["2", 0],
        "positive": ["3", 0],
        "negative": ["4", 0],
        "latent_image": ["5", 0],
        "motion": ["1", 0],
    }
    sampler = {"class_type": "OVSR_MotionGuidedSampler", "inputs": SETTINGS | {"denoise": 0.5} | inputs | changed}
    return start(clip, tiny) | {"6": sampler} | end("6")


def by_hand(clip: str, tiny: str) -> Prompt:
    """Windows, noise, guider and sampler as nodes of their own, mapped over the list of windows."""
    guidance = {name: SETTINGS[name] for name in ("guidance_scale", "mode", "start_step", "end_step", "every")}
    middle: dict[str, tuple[str, dict[str, Any]]] = {
        "10": ("OVSR_SplitWindows", {"whole": ["5", 0], "length": 4, "overlap": 1}),
        "11": ("OVSR_RescheduledNoise", {"seed": 5, "length": 4, "overlap": 1}),
        "12": ("CFGGuider", {"model": ["2", 0], "positive": ["3", 0], "negative": ["4", 0], "cfg": 1.5}),
        "13": ("BasicScheduler", {"model": ["2", 0], "scheduler": "normal", "steps": 2, "denoise": 0.5}),
        "14": ("KSamplerSelect", {"sampler_name": "euler"}),
        "15": ("OVSR_EstimateFlow", {"video": ["1", 0]}),
        "16": (
            "OVSR_MotionGuidance",
            {"sampler": ["14", 0], "latent_image": ["10", 0], "motion": ["15", 0], "keep_detail": True, **guidance},
        ),
        "17": (
            "SamplerCustomAdvanced",
            {
                "noise": ["11", 0],
                "guider": ["12", 0],
                "sampler": ["16", 0],
                "sigmas": ["13", 0],
                "latent_image": ["10", 0],
            },
        ),
        "18": ("OVSR_ILTStitch", {"windows": ["17", 0], "curve": "code"}),
    }
    nodes = {number: {"class_type": kind, "inputs": inputs} for number, (kind, inputs) in middle.items()}
    return start(clip, tiny) | nodes | end("18")


def result_of(server: ComfyServer, result: PromptResult) -> Path:
    (file,) = (file for file in result.files() if file["type"] == "output")
    return server.base / "output" / file["subfolder"] / file["filename"]


def test_one_node_and_the_building_blocks_make_the_same_video(
    clip: str, tiny: str, server: ComfyServer, run_prompt: Callable[..., PromptResult]
) -> None:
    """A whole journey: every frame at its time, the sound, and twice the same pictures."""
    paths = [result_of(server, run_prompt(graph(clip, tiny))) for graph in (in_one_node, by_hand)]
    pictures = []
    for path in paths:
        with VideoReader(path) as reader:
            frames = list(reader)
            assert [float(frame.pts * reader.info.time_base) * 25 for frame in frames] == pytest.approx(
                [0, 1, 2, 4, 5, 9, 10, 11, 12], abs=0.03
            )
            assert len(reader.info.audio) == 1
            assert (reader.info.width, reader.info.height) == (72, 64)
            pictures.append(torch.stack([frame.image for frame in frames]))
    assert (pictures[0] - pictures[1]).abs().max() < 2 / 255
    assert pictures[0].std() > 0.01


def test_cancelling_stops_between_steps(clip: str, tiny: str, client: ComfyClient, tmp_path: Path) -> None:
    seen: list[float] = []

    def cancel(event: Event) -> None:
        for node, value, _ in node_progress(event):
            if node == "6" and value:
                seen.append(value)
                if len(seen) == 1:
                    client.interrupt()

    result = client.run(held(in_one_node(clip, tiny, steps=50), "6", 1, tmp_path / "never"), on_event=cancel)
    assert result.status == "interrupted"
    assert 0 < seen[-1] < 50


def test_a_run_shows_previews_of_its_latents(clip: str, tiny: str, client: ComfyClient) -> None:
    result = client.run(in_one_node(clip, tiny))
    assert [value for value, _ in result.progress("6")][-1] == 3 * 2  # windows x steps
