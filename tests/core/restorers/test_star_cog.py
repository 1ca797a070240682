"""STAR's CogVideoX version over any shot: windows, tiles, memory, cancelling."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textovsr.core.diffusion.frame_noise import OF_LATENTS
from textovsr.core.errors import CancelledError, OutOfMemoryError, SettingError
from textovsr.core.overlaps import blend_weights
from textovsr.core.restoration import Restoration
from textovsr.core.restorers.parts import HeldParts
from textovsr.core.restorers.star_cog.config import StarCogConfig
from textovsr.core.restorers.star_cog.restorer import StarCogRestorer, StarCogShot, whole_latents
from textovsr.core.restorers.star_cog.sampling import Clip, ClipSampler, oblong
from textovsr.core.windows import WindowPlan
from textovsr.tests.helpers.diffvsr_shots import clip as moving
from textovsr.tests.helpers.star_cog import ENOUGH, QUICK, Words, embed, make, parts, quick_vae, run, small_transformer
from textovsr.tests.helpers.threads import one_thread  # noqa: F401 - a fixture

SHORT = replace(QUICK, window=13, overlap=4)


def test_seventeen_frames_come_out_and_a_run_goes_on_anywhere() -> None:
    frames, config = moving(17, 24, 40), replace(SHORT, steps=2)
    whole, pauses, told = run(frames, make(config))
    assert not told
    assert len(whole) == 17
    assert all(image.shape == (3, 96, 160) and image.isfinite().all() for image in whole)
    assert [pause.position.in_shot for pause in pauses] == [8, 16, 0]
    for pause in pauses[:2]:
        done = pause.position.in_shot
        rest, _, _ = run(frames, make(config), pause)
        assert all(torch.equal(a, b) for a, b in zip(rest, whole[done:], strict=True)), done
    assert not torch.allclose(whole[0], whole[1], atol=1e-3)


@pytest.mark.parametrize("count", range(1, 10))
def test_any_number_of_frames(count: int) -> None:
    results, _, _ = run(moving(count, 16, 16), make())
    assert len(results) == count
    assert all(image.shape == (3, 64, 64) and image.isfinite().all() for image in results)


def test_the_published_settings_do_25_frames_at_once() -> None:
    """Encoded, sampled and decoded whole, although a window's frames come out in two parts."""
    config = replace(StarCogConfig.published(), steps=2, color_fix="none")
    frames = moving(25, 16, 16)
    results, pauses, _ = run(frames, make(config))
    assert [pause.position.in_shot for pause in pauses] == [16, 0]
    with torch.inference_mode():
        large = F.interpolate(2 * torch.stack([frame.image for frame in frames]) - 1, scale_factor=4, mode="bicubic")
        found = quick_vae().encode(large.clamp(-1, 1).transpose(0, 1)[None]).latent_dist
        noise = config.noise.of_clip(range(7), (16, 8, 8), torch.device("cpu"))
        latents = (found.mean + found.std * noise(OF_LATENTS).transpose(0, 1)[None])[0].transpose(0, 1)
        sampler = ClipSampler(small_transformer(), oblong(480), config, lambda: None)
        sampled = sampler.sample(Clip(0.7 * latents, embed(Words(), ""), noise))
        expected = quick_vae().decode(sampled.transpose(0, 1)[None] / 0.7).sample[0].transpose(0, 1)
    torch.testing.assert_close(torch.stack(results), (expected / 2 + 0.5).clamp(0, 1), rtol=0, atol=5e-5)


def test_windows_fade_into_each_other_on_their_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two latents of eight frames are shared; what is not, is a window's own."""
    decoded: list[list[float]] = []

    def decode(vae: nn.Module, latents: Tensor, side: int, check: object) -> Tensor:
        decoded.append(numbers(latents))
        return torch.zeros(4 * len(latents) - 3, 3, 64, 64)

    class Plain(StarCogShot):
        def _sample(self, window, known, check):  # type: ignore[no-untyped-def]
            count = (len(window.items) - 1) // 4 + int(known < 0)
            return torch.full((count, 16, 8, 8), window.start / 16)

    monkeypatch.setattr("textovsr.core.restorers.star_cog.restorer.decode_clip", decode)
    monkeypatch.setattr("textovsr.core.restorers.star_cog.restorer.StarCogShot", Plain)
    run(moving(45, 16, 16), make(replace(QUICK, context=1)))
    early, late = blend_weights(2, "cosine")
    assert decoded[0] == [0.0] * 5
    assert decoded[1] == pytest.approx([0, 0, 1 - early, 1 - late, 1, 1, 1], abs=1e-6)
    assert decoded[2][:5] == pytest.approx([1, 1, 2 - early, 2 - late, 2], abs=1e-6)


def numbers(latents: Tensor) -> list[float]:
    return [float(value) for value in latents.flatten(1)[:, 0]]


class Numbered(StarCogShot):
    """A shot whose latents hold their number, and what is decoded the number of the frame."""

    sampled: list[list[int]]

    def _sample(self, window, known, check):  # type: ignore[no-untyped-def]
        items = window.items[max(4 * known, 0) - window.start :]
        complete = len(window.items) == self._plan.length + self._plan.look_ahead
        seen = [int(item.image[0, 0, 0]) for item in items]
        order = whole_latents(len(items), fill=not complete)
        self.sampled.append([seen[index] for index in order])
        first = max(known, 0)
        made = torch.arange(first, first + len(order) // 4 + 1).float()
        made = made[int(known >= 0) :]
        return made[:, None, None, None].expand(-1, *self._carried["before"].shape[1:]).clone()


@pytest.mark.parametrize("plan", [WindowPlan(16, 9, (0, 0)), WindowPlan(3, 9, (0, 0)), WindowPlan(1, 4, (0, 0))])
@pytest.mark.parametrize("count", [1, 2, 5, 16, 17, 18, 25, 26, 40])
def test_every_frame_is_decoded_from_its_own_latent(
    count: int, plan: WindowPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the windows, which memory may shorten, to lengths that are no whole latents."""

    def decode(vae: nn.Module, latents: Tensor, side: int, check: object) -> Tensor:
        known = numbers(latents)
        frames = [4 * known[0], *(4 * number - 3 + i for number in known[1:] for i in range(4))]
        return torch.tensor(frames)[:, None, None, None].expand(-1, 3, 64, 64)

    monkeypatch.setattr("textovsr.core.restorers.star_cog.restorer.decode_clip", decode)
    monkeypatch.setattr("textovsr.core.restorers.star_cog.restorer.finish", lambda frame, size: frame)
    monkeypatch.setattr("textovsr.core.restorers.star_cog.restorer.StarCogShot", Numbered)
    monkeypatch.setattr(Numbered, "sampled", [], raising=False)
    frames = moving(count, 16, 16)
    for number, frame in enumerate(frames):
        frame.image.fill_(number)
    results, _, _ = run(frames, make(replace(QUICK, color_fix="none")), plan=plan)
    assert [float(image[0, 0, 0]) for image in results] == list(range(count))
    assert all(clip[0] % 4 == 0 and len(clip) % 4 == 1 for clip in Numbered.sampled)
    whole = [clip for clip in Numbered.sampled if clip != list(range(clip[0], clip[0] + len(clip)))]
    assert len(whole) <= 1, "only the last window is filled up"


@pytest.mark.parametrize(
    ("count", "fill", "order"),
    [
        (1, True, [0]),
        (2, True, [0, 1, 0, 1, 0]),
        (4, True, [0, 1, 2, 3, 2]),
        (5, True, [0, 1, 2, 3, 4]),
        (6, True, [0, 1, 2, 3, 4, 5, 4, 3, 2]),
        (8, False, [0, 1, 2, 3, 4]),
        (9, False, list(range(9))),
    ],
)
def test_clips_are_whole_latents(count: int, fill: bool, order: list[int]) -> None:
    assert whole_latents(count, fill) == order


def test_odd_sizes_and_captions_of_each_shot() -> None:
    frames = moving(2, 17, 23)
    plain, _, _ = run(frames, make())
    assert plain[0].shape == (3, 68, 92)
    spoken = [replace(frame, prompt="a long caption") for frame in frames]
    assert not torch.equal(run(spoken, make())[0][0], plain[0])


def test_a_prompt_is_embedded_once() -> None:
    asked: list[str] = []

    def noted(network: nn.Module, prompt: str) -> Tensor:
        asked.append(prompt)
        return network(prompt)

    restorer = StarCogRestorer(parts(), replace(QUICK, suffix="in colour"), ENOUGH, noted)
    for prompt in ("a cat", "a cat", "", "a dog"):
        restorer.text(prompt)
    assert asked == ["a cat in colour", "in colour", "a dog in colour"]
    for number in range(100):
        restorer.text(f"{number}")
    assert len(restorer._texts) <= 32


def test_tiles_are_blended_at_every_step() -> None:
    frames = moving(1, 40, 64)
    whole, tiled = (run(frames, make(replace(QUICK, tile=tile, vae_tile=tile)))[0][0] for tile in (0, 64))
    assert whole.shape == tiled.shape
    assert not torch.equal(whole, tiled)
    edges = [float((image[:, :, 1:] - image[:, :, :-1]).abs().mean(dim=(0, 1)).max()) for image in (whole, tiled)]
    assert edges[1] < 1.5 * edges[0], "no column stands out"


def test_a_check_stops_the_work_inside_a_step() -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 12:
            raise CancelledError

    told: list[tuple[int, int]] = []
    restorer = make(replace(QUICK, steps=50, guidance_scale=0))
    restorer.tell_step = lambda done, total: told.append((done, total))
    with pytest.raises(CancelledError):
        list(Restoration(restorer, restorer.plan(16, 16), check, print).run(moving(1, 16, 16)))
    assert calls == 12
    assert 0 < len(told) < 12
    assert told[-1] == (len(told), 50)


class Scarce(HeldParts):
    """Networks that find no memory at one use of one of them."""

    def __init__(self, held: HeldParts, name: str, fails: Iterator[bool]) -> None:
        super().__init__(held._networks, held.device, held.dtype)
        self._name, self._fails = name, fails

    def use(self, *names: str) -> tuple[nn.Module, ...]:
        if self._name in names and next(self._fails, False):
            raise RuntimeError("CUDA out of memory (not really)")
        return super().use(*names)


@pytest.mark.parametrize(("name", "before"), [("denoiser", 1), ("vae", 2)])
def test_when_memory_runs_out_the_work_goes_on_with_less(name: str, before: int) -> None:
    """In the second window."""
    frames = moving(14, 16, 24)
    restorer = StarCogRestorer(Scarce(parts(), name, iter([*[False] * before, True])), SHORT, ENOUGH, embed)
    results, _, told = run(frames, restorer)
    assert len(results) == 14
    assert len(told) == 1
    assert "tiles of 16 pixels" in told[0]
    plain = run(frames, make(SHORT))[0]
    assert all(torch.equal(a, b) for a, b in zip(results[:8], plain[:8], strict=True)), "what came out before stays"


def test_shorter_windows_work_too_and_nothing_at_all_is_said_so() -> None:
    frames = moving(9, 16, 16)
    assert len(run(frames, make(), plan=WindowPlan(2, 4, (0, 0)))[0]) == 9
    with pytest.raises(OutOfMemoryError, match="room for at least 5 frames"):
        run(frames, make(), plan=WindowPlan(1, 2, (0, 0)))
    never = StarCogRestorer(Scarce(parts(), "text", iter([True] * 99)), QUICK, ENOUGH, embed)
    with pytest.raises(OutOfMemoryError, match="room for at least 5 frames"):
        run(frames, never)


def test_identity_names_weights_and_settings() -> None:
    class Still(nn.Module):
        pass

    networks = {"text": Still(), "denoiser": nn.Linear(2, 2), "vae": nn.Linear(1, 1)}
    held = HeldParts(networks, torch.device("cpu"), torch.float32)
    plain = StarCogRestorer(held, QUICK, ENOUGH).identity
    assert plain == StarCogRestorer(held, QUICK, 1).identity
    assert plain != StarCogRestorer(held, replace(QUICK, seed=1), ENOUGH).identity
    assert plain.startswith("STAR CogVideoX ")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 1001}, "1 to 1000 steps, got 1001"),
        ({"guidance_scale": float("nan")}, "guidance scale of 0 or more, got nan"),
        ({"overlap": 25}, "overlap by less, got 25 and 25"),
        ({"overlap": 24}, "at least 5 fewer, got 25 and 24"),
        ({"overlap": 0}, "overlap by 4, 8, .* got 25 and 0"),
        ({"window": 24}, "got 24 and 8"),
        ({"curve": "bent"}, "one of the curves .*got 'bent'"),
        ({"guidance": "none"}, "ramp, constant, got 'none'"),
        ({"alphas": "none"}, "trained, published, got 'none'"),
        ({"latents": "none"}, "mean, sample, got 'none'"),
        ({"color_fix": "hue"}, "none, adain, wavelet, got 'hue'"),
        ({"context": 0}, "1 latent or more, got 0"),
        ({"tile": 100}, "a tile of a multiple of 32 pixels, .* got 100"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        StarCogConfig(**settings)  # type: ignore[arg-type]
