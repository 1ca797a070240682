"""SplitWindows, RescheduledNoise and ILTStitch, in this process with the host's own classes."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from textovsr.core.overlaps import overlapping_windows, rescheduled_indices
from textovsr.tests.helpers.clips import Clip, read_number, write_clip
from textovsr.tests.helpers.diffusion import conditioning, save_checkpoint

Nodes = dict[str, Any]
PLACES = overlapping_windows(21, 8, 4)
STARTS = [0, 4, 8, 12, 13]


def split(nodes: Nodes, whole: Any, length: int = 8, overlap: int = 4) -> tuple[list[Any], list[int], int]:
    """windows, start, count."""
    return nodes["OVSR_SplitWindows"].execute(whole, length, overlap).result


def stitch(nodes: Nodes, windows: list[Any], curve: str = "code", **known: Any) -> Any:
    """The whole."""
    known = {key: value if isinstance(value, list) else [value] for key, value in known.items()}
    return nodes["OVSR_ILTStitch"].execute(windows, [curve], **known).result[0]


def noise(nodes: Nodes, latent: dict[str, Any], seed: int = 5, length: int = 8, overlap: int = 4) -> Tensor:
    """What a sampler gets."""
    return nodes["OVSR_RescheduledNoise"].execute(seed, length, overlap).result[0].generate_noise(latent)


def ramp(*shape: int) -> Tensor:
    return torch.arange(float(torch.tensor(shape).prod())).reshape(shape)


@pytest.mark.parametrize(
    "samples", [ramp(21, 4, 2, 2), ramp(1, 4, 21, 2, 2), ramp(2, 4, 21, 2, 2), ramp(21, 4, 1, 2, 2)]
)
@pytest.mark.parametrize("curve", ["code", "paper", "cosine", "cut"])
def test_latents_come_back_with_all_that_belongs_to_them(nodes: Nodes, samples: Tensor, curve: str) -> None:
    latent = {
        "samples": samples,
        "noise_mask": ramp(21, 1, 4, 4) / 400,
        "batch_index": list(range(100, 121)),
        "type": "video",
    }
    windows, start, count = split(nodes, latent)
    assert (start, count) == (STARTS, 5)
    axis = 2 if samples.shape[0] < 21 else 0
    assert [w["textovsr_window"] for w in windows] == [{"start": s, "total": 21, "axis": axis} for s in STARTS]
    assert [w["batch_index"][0] for w in windows] == [100 + s for s in STARTS]
    for window, place in zip(windows, PLACES, strict=True):
        assert torch.equal(window["samples"], samples.narrow(axis, place.start, 8))
        assert torch.equal(window["noise_mask"].reshape(8, 1, 4, 4), latent["noise_mask"][place.start : place.stop])
    whole = stitch(nodes, windows, curve)
    assert torch.equal(whole["samples"], samples)
    assert torch.equal(whole["noise_mask"].reshape(21, 1, 4, 4), latent["noise_mask"])
    assert {key: whole[key] for key in whole if key not in ("samples", "noise_mask")} == {
        "batch_index": latent["batch_index"],
        "type": "video",
    }


def test_masks_are_read_as_the_host_reads_them(nodes: Nodes) -> None:
    """One for all; fewer than frames are repeated; of a video model's they are stretched over time."""
    from comfy.utils import reshape_mask

    for samples in (ramp(21, 4, 4, 4), ramp(1, 4, 21, 4, 4)):
        for pictures in (1, 5, 21):
            mask = torch.rand(pictures, 1, 4, 4)
            whole = reshape_mask(mask, samples.shape)
            axis = 2 if samples.ndim == 5 else 0
            windows, _, _ = split(nodes, {"samples": samples, "noise_mask": mask})
            for window, place in zip(windows, PLACES, strict=True):
                found = reshape_mask(window["noise_mask"], window["samples"].shape)
                torch.testing.assert_close(found, whole.narrow(axis, place.start, 8))
            joined = reshape_mask(stitch(nodes, windows)["noise_mask"], samples.shape)
            torch.testing.assert_close(joined, whole)


@pytest.mark.parametrize("shape", [(1, 4, 5, 2, 2), (2, 4, 5, 2, 2), (5, 4, 1, 2, 2), (1, 4, 1, 2, 2), (5, 4, 2, 2)])
def test_windows_of_one_frame_know_which_dimension_is_time(nodes: Nodes, shape: tuple[int, ...]) -> None:
    windows, _, count = split(nodes, {"samples": ramp(*shape)}, 1, 0)
    assert count == (1 if shape == (1, 4, 1, 2, 2) else 5)
    assert torch.equal(stitch(nodes, windows)["samples"], ramp(*shape))
    assert noise(nodes, windows[0], length=1, overlap=0).shape == windows[0]["samples"].shape


def test_windows_of_a_window_know_their_place_in_the_first_whole(nodes: Nodes) -> None:
    latent = {"samples": ramp(21, 4, 2, 2)}
    windows, _, _ = split(nodes, latent)
    parts, _, _ = split(nodes, windows[1], 4, 2)
    assert parts[1]["textovsr_window"] == {"start": 6, "total": 21, "axis": 0}
    again = stitch(nodes, parts)
    assert again["textovsr_window"] == {"start": 4, "total": 21, "axis": 0}
    assert torch.equal(stitch(nodes, [windows[0], again, *windows[2:]])["samples"], latent["samples"])


def test_what_only_some_windows_have_is_left_out(nodes: Nodes) -> None:
    windows, _, _ = split(nodes, {"samples": ramp(21, 4, 2, 2), "noise_mask": torch.ones(21, 1, 2, 2)})
    del windows[2]["noise_mask"]
    windows[0]["batch_index"] = list(range(8))
    assert set(stitch(nodes, windows)) == {"samples"}


def test_images_come_back_by_their_start(nodes: Nodes) -> None:
    images = torch.rand(21, 6, 5, 3)
    windows, start, _ = split(nodes, images)
    assert torch.equal(stitch(nodes, windows, start=start), images)
    assert windows[1].data_ptr() == images[4:].data_ptr()  # not copied
    larger = [window.repeat_interleave(2, 1) for window in windows]
    assert stitch(nodes, larger, "cut", start=start, overlap=4).shape == (21, 12, 5, 3)


def test_windows_of_others_are_laid_by_the_overlap(nodes: Nodes) -> None:
    whole = stitch(nodes, [torch.ones(8, 2, 2, 3), torch.zeros(6, 2, 2, 3)], overlap=4)
    torch.testing.assert_close(whole[:, 0, 0, 0], torch.tensor([1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0, 0]))
    assert stitch(nodes, [torch.ones(3, 2, 2, 3)]).shape == (3, 2, 2, 3)


def test_a_video_is_split_into_parts_of_its_file(nodes: Nodes, host: Any, tmp_path: Path) -> None:
    from comfy_api.latest import InputImpl

    path = write_clip(tmp_path / "a.mkv", Clip(pts=[t * t for t in range(21)]))
    windows, start, count = split(nodes, InputImpl.VideoFromFile(str(path)))
    assert (start, count) == (STARTS, 5)
    assert {window.source.path for window in windows} == {path}
    for window, place in zip(windows, PLACES, strict=True):
        assert window.get_frame_count() == 8
        images = window.get_components().images
        assert [read_number(image.permute(2, 0, 1)) for image in images] == list(place)


def test_every_window_gets_the_same_noise_frames_in_the_published_order(nodes: Nodes) -> None:
    from comfy.sample import prepare_noise

    samples = torch.zeros(21, 4, 8, 8)
    whole = noise(nodes, {"samples": samples})
    base = prepare_noise(samples[:8], 5)
    assert torch.equal(whole, base[list(rescheduled_indices(21, 8, 4, 5))])
    windows, _, _ = split(nodes, {"samples": samples})
    for window, place in zip(windows, PLACES, strict=True):
        found = noise(nodes, window)
        assert torch.equal(found, whole[place.start : place.stop])
        assert torch.equal(found.sort(0).values, base.sort(0).values)
    assert not torch.equal(noise(nodes, {"samples": samples}, seed=6), whole)
    assert nodes["OVSR_RescheduledNoise"].execute(7, 8, 4).result[0].seed == 7


@pytest.mark.parametrize("shape", [(1, 3, 21, 4, 6), (2, 3, 21, 4, 6), (21, 3, 1, 4, 6)])
def test_noise_of_video_models(nodes: Nodes, shape: tuple[int, ...]) -> None:
    axis = 0 if shape[0] == 21 else 2
    whole = noise(nodes, {"samples": torch.zeros(shape, dtype=torch.float16)})
    assert (whole.shape, whole.dtype) == (shape, torch.float16)
    for window, place in zip(split(nodes, {"samples": torch.zeros(shape).half()})[0], PLACES, strict=True):
        assert torch.equal(noise(nodes, window), whole.narrow(axis, place.start, 8))
    assert whole.float().std() == pytest.approx(1, abs=0.15)


def test_a_short_latent_is_one_window(nodes: Nodes) -> None:
    from comfy.sample import prepare_noise

    latent = {"samples": torch.ones(3, 4, 8, 8)}
    windows, start, count = split(nodes, latent)
    assert (len(windows), start, count) == (1, [0], 1)
    assert torch.equal(stitch(nodes, windows)["samples"], latent["samples"])
    assert torch.equal(noise(nodes, windows[0]), prepare_noise(latent["samples"], 5))


def test_what_cannot_be_stitched_says_what_to_do(nodes: Nodes) -> None:
    windows, start, _ = split(nodes, {"samples": ramp(21, 4, 2, 2)})
    images, mixed = [torch.ones(8, 2, 2, 3)] * 2, [split(nodes, torch.ones(9, 2, 2, 3))[0][0], windows[0]]
    bad = [{**windows[0]}, {**windows[1], "samples": torch.ones(8, 4, 3, 3)}]
    longer = [*windows[:4], {**windows[4], "samples": torch.ones(9, 4, 2, 2)}]
    for given, known, message in [
        ([windows[0], windows[3]], {}, r"hole.*0 to 7 in window 1 and 12 to 19 in the next; give every window"),
        (windows, {"overlap": 3}, r"share 3 frames, got windows that share 4, 7; set the overlap to -1"),
        (windows, {"start": start[:3]}, r"start for each of the 5 windows, got 3"),
        (images, {}, r"connect start of Split Windows, or set the overlap"),
        (images, {"overlap": 8}, r"begin and end after.*smaller overlap"),
        (mixed, {}, r"all LATENT, all IMAGE or all VIDEO, got IMAGE and LATENT"),
        (bad, {}, r"windows of one size, got frames of \(4, 2, 2\) and then of \(4, 3, 3\)"),
        (longer, {}, r"begins at frame 13 of 21 to have 8 frames at most, got 9"),
    ]:
        with pytest.raises(ValueError if given is bad else Exception, match=message):
            stitch(nodes, given, **known)


def test_what_cannot_be_split_or_noised_says_what_to_do(nodes: Nodes) -> None:
    with pytest.raises(Exception, match=r"windows of 4 with an overlap of 4; choose longer windows"):
        split(nodes, torch.ones(9, 2, 2, 3), 4, 4)
    with pytest.raises(Exception, match=r"got 3 dimensions"):
        split(nodes, {"samples": torch.ones(2, 3, 4)})
    windows, _, _ = split(nodes, {"samples": torch.ones(21, 4, 2, 2)})
    with pytest.raises(Exception, match=r"windows of 8 frames with an overlap of 2, got frames 4 to 11 of 21; set"):
        noise(nodes, windows[1], overlap=2)
    with pytest.raises(Exception, match=r"windows of 6 frames with an overlap of 4"):
        noise(nodes, windows[0], length=6)
    with pytest.raises(Exception, match=r"overlap of 9"):
        nodes["OVSR_RescheduledNoise"].execute(0, 8, 9)


def test_a_cancel_is_heard(nodes: Nodes, host: ModuleType, tmp_path: Path) -> None:
    import comfy.model_management as management
    from comfy_api.latest import InputImpl

    video = InputImpl.VideoFromFile(str(write_clip(tmp_path / "a.mp4", Clip(pts=range(21)))))
    videos, start, _ = split(nodes, video)
    latents, _, _ = split(nodes, {"samples": ramp(21, 4, 2, 2)})
    for work in (
        lambda: split(nodes, video),
        lambda: stitch(nodes, latents),
        lambda: stitch(nodes, videos, start=start),
    ):
        management.interrupt_current_processing(True)
        with pytest.raises(management.InterruptProcessingException):
            work()


@pytest.fixture(scope="module")
def model(host: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A small SD1.5, as CheckpointLoaderSimple gives it."""
    import comfy.sd

    folder = tmp_path_factory.mktemp("checkpoints")
    return comfy.sd.load_checkpoint_guess_config(str(folder / save_checkpoint(folder)), output_clip=False)[0]


def test_windows_sampled_from_rescheduled_noise_join_like_one(nodes: Nodes, model: Any) -> None:
    """A model of pictures looks at each frame alone: its windows then agree wherever they overlap."""
    import comfy.samplers
    from comfy_extras.nodes_custom_sampler import SamplerCustomAdvanced

    source = nodes["OVSR_RescheduledNoise"].execute(3, 3, 1).result[0]
    guider, sampler = comfy.samplers.CFGGuider(model), comfy.samplers.sampler_object("euler")
    guider.set_conds(conditioning(0), conditioning(1))
    guider.set_cfg(1.0)
    sigmas = torch.tensor([5.0, 1.0, 0.0])

    def sample(latent: dict[str, Any]) -> dict[str, Any]:
        return dict(SamplerCustomAdvanced.execute(source, guider, sampler, sigmas, latent).result[0])

    whole = {"samples": torch.randn(6, 4, 8, 8, generator=torch.Generator().manual_seed(0))}
    windows = [sample(window) for window in split(nodes, whole, 3, 1)[0]]
    assert [window["textovsr_window"]["start"] for window in windows] == [0, 2, 3]
    torch.testing.assert_close(stitch(nodes, windows)["samples"], sample(whole)["samples"], rtol=0, atol=1e-4)
