"""DiffVSR's restorer gives the published numbers."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from textovsr.core.restoration import ShotFrame
from textovsr.core.restorers.diffvsr.config import DiffVsrConfig
from textovsr.core.restorers.diffvsr.restorer import DiffVsrRestorer, DiffVsrShot
from textovsr.core.restorers.diffvsr.sampling import (
    ShotNoise,
    add_frame_noise,
    ddim_schedule,
    frame_alphas,
    latent_alphas,
)
from textovsr.tests.helpers.diffvsr import diffvsr_golden, small_vae
from textovsr.tests.helpers.diffvsr_shots import ENOUGH, QUICK, clip, make, parts, run
from textovsr.tests.helpers.threads import one_thread  # noqa: F401 - a fixture


class GoldenNoise(ShotNoise):
    """The noise of the published run."""

    def latents(self, frames: range) -> Tensor:
        return diffvsr_golden("e2e")["mid.init_latents"][0][:, frames.start : frames.stop]

    def low_res(self, frames: range) -> Tensor:
        drawn = torch.randn(1, 3, 16, 12, 20, generator=torch.Generator().manual_seed(10))
        return drawn[0][:, frames.start : frames.stop]


def published() -> DiffVsrRestorer:
    golden, config = diffvsr_golden("e2e"), replace(DiffVsrConfig.published(), steps=4)

    def given(_: nn.Module, prompts: Sequence[str]) -> Tensor:
        assert f"a street {config.suffix}" in prompts
        return torch.cat([golden["in.neg" if prompt == config.negative else "in.pos"] for prompt in prompts])

    return DiffVsrRestorer(parts(small_vae()), config, ENOUGH, given, GoldenNoise)


def published_clip() -> list[ShotFrame]:
    images = diffvsr_golden("e2e")["in.image"][0].transpose(0, 1)
    return [ShotFrame(0.5 * image + 0.5, "a street") for image in images]


def test_the_published_run_is_reproduced(monkeypatch: pytest.MonkeyPatch) -> None:
    golden, sampled = diffvsr_golden("e2e"), []
    sample = DiffVsrShot._sample

    def noted(shot: DiffVsrShot, *given: object) -> Tensor:
        sampled.append(sample(shot, *given))  # type: ignore[arg-type]
        return sampled[-1].clone()

    monkeypatch.setattr(DiffVsrShot, "_sample", noted)
    results, pauses, _ = run(published_clip(), published())
    assert len(sampled) == 3, "the last four frames come from the window before"
    for number, window in enumerate(sampled):
        expected = golden[f"mid.chunk{number}"][0].transpose(0, 1)
        torch.testing.assert_close(window, expected, rtol=0, atol=1e-4, msg=f"window {number}")
    torch.testing.assert_close(pauses[1].state["ahead"], golden["mid.chunk1"][0].transpose(0, 1)[4:], rtol=0, atol=1e-4)
    frames = (2.0 * torch.stack(results) - 1.0).clamp(-1, 1)
    torch.testing.assert_close(frames, golden["out.frames"], rtol=0, atol=1e-4)


def test_the_latents_are_fused_as_published() -> None:
    golden, restorer = diffvsr_golden("e2e"), published()
    restorer.parts, restorer.config = parts(), replace(restorer.config, context=4)
    _, pauses, _ = run(published_clip(), restorer)
    found = torch.cat([pause.state["before"] for pause in pauses[:-1]])
    expected = golden["mid.fused"][0].transpose(0, 1)[:12]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("count", [9, 12, 13])
def test_the_published_end_goes_back_to_a_multiple_of_eight(count: int) -> None:
    """The published code lengthens the clip before it begins."""
    config = replace(QUICK, end="published", context=0)
    frames = clip(count, 16, 16)
    longer = [*frames, *frames[-2::-1]][:16]
    results, pauses, _ = run(frames, make(config))
    expected = run(longer, make(config))[0][:count]
    assert all(torch.equal(a, b) for a, b in zip(results, expected, strict=True))
    rest = run(frames, make(config), pauses[1])[0]
    assert all(torch.equal(a, b) for a, b in zip(rest, results[8:], strict=True))
    plain = run(frames, make(replace(config, end="plain")))[0]
    assert not torch.equal(plain[-1], results[-1])


def test_the_schedules_are_the_published_ones() -> None:
    golden = diffvsr_golden("e2e")
    torch.testing.assert_close(latent_alphas(), golden["sched.alphas_cumprod_linear"], rtol=0, atol=1e-7)
    torch.testing.assert_close(frame_alphas(), golden["sched.alphas_cumprod_scaled_linear"], rtol=0, atol=1e-7)
    for steps in (4, 50):
        assert [step[0] for step in ddim_schedule(steps)] == golden[f"sched.timesteps{steps}"].tolist()
    for steps in (1, 3, 7, 499, 500):
        ends = [step[2] for step in ddim_schedule(steps)]
        assert ends[:-1] == [step[1] for step in ddim_schedule(steps)[1:]]
        assert ends[-1] == latent_alphas()[0]
    noisy = add_frame_noise(golden["in.image"], GoldenNoise(QUICK, (12, 20)).low_res(range(16))[None], 50)
    torch.testing.assert_close(noisy, golden["mid.noisy_lr"], rtol=0, atol=1e-6)


def test_every_window_begins_with_the_same_noise() -> None:
    """As the published map: windows of 8 at 0, 4, 8, ... see the same frames of noise, and shared frames theirs."""
    config = DiffVsrConfig(seed=3)
    indices = config.noise.indices(range(40))
    assert all(sorted(indices[start : start + 8]) == list(range(8)) for start in range(0, 36, 4))
    for start in range(30):
        assert config.noise.indices(range(start, start + 8)) == indices[start : start + 8]
    noise = ShotNoise(config, (6, 5))
    assert torch.equal(noise.latents(range(11, 12))[:, 0], noise.latents(range(8))[:, indices[11]])
    assert torch.equal(noise.cut(slice(1, 4), slice(2, 5)).low_res(range(3)), noise.low_res(range(3))[..., 1:4, 2:5])
    own = ShotNoise(replace(config, reschedule=False), (6, 5)).latents(range(40))
    assert len({frame.sum().item() for frame in own.unbind(1)}) == 40
