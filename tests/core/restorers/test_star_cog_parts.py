"""STAR's CogVideoX version: its sampler against diffusers', its noise, its codec, its tiles."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from textovsr.core.diffusion.frame_noise import BEGINNING
from textovsr.core.restorers.star_cog.codec import decode_clip, encode_clip, enlarge, finish
from textovsr.core.restorers.star_cog.config import StarCogConfig
from textovsr.core.restorers.star_cog.memory import denoiser_tile, vae_tile
from textovsr.core.restorers.star_cog.sampling import (
    Clip,
    ClipSampler,
    Step,
    guidance,
    oblong,
    schedule,
    solver_step,
)
from textovsr.tests.helpers.star_cog import make, quick_vae
from textovsr.tests.helpers.threads import one_thread  # noqa: F401 - a fixture

OURS, PUBLISHED = StarCogConfig(), StarCogConfig.published()


def toy(x: Tensor, timestep: int) -> Tensor:
    """A velocity that depends on everything."""
    return torch.tanh(0.7 * x + timestep / 1000) - 0.3 * x


@pytest.mark.parametrize("steps", [1, 2, 5, 50])
def test_the_sampler_is_that_of_diffusers(steps: int) -> None:
    """Equal equations: CogVideoXDPMScheduler, whose second draw of noise in a step is the one that counts."""
    from diffusers.schedulers.scheduling_dpm_cogvideox import CogVideoXDPMScheduler

    theirs = CogVideoXDPMScheduler(
        prediction_type="v_prediction", rescale_betas_zero_snr=True, snr_shift_scale=1.0, timestep_spacing="trailing"
    )
    theirs.set_timesteps(steps)
    ours = schedule(replace(OURS, steps=steps))
    assert [step.timestep for step in ours] == theirs.timesteps.tolist()
    x = y = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    old, clean, drawn = None, list[Tensor](), torch.Generator().manual_seed(1)
    again = torch.Generator().manual_seed(1)
    for i, step in enumerate(ours):
        back = ours[i - 1].timestep if i else None
        first = i == 0 or i == len(ours) - 1
        y, old = theirs.step(toy(y, step.timestep), old, step.timestep, back, y, generator=drawn)

        def noise(first: bool = first) -> Tensor:
            draws = [torch.randn(4, 3, generator=again) for _ in range(1 if first else 2)]
            return draws[-1]

        clean.append(step.seen * x - math.sqrt(1 - step.seen**2) * toy(x, step.timestep))
        x = solver_step(x, clean, ours[: i + 1], noise)
        torch.testing.assert_close(x, y.float(), rtol=0, atol=1e-5, msg=f"step {i}")


def test_both_tables_of_what_is_left_are_as_they_should_be() -> None:
    """By hand: products of 1 - beta up to timesteps 0, 19 and 999, stretched so that the last is nothing."""
    beta = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    first, nineteenth, last = (math.sqrt(math.prod(1 - beta[: t + 1])) for t in (0, 19, 999))
    ours, published = schedule(OURS), schedule(PUBLISHED)
    assert [step.timestep for step in ours] == [step.timestep for step in published] == list(range(999, 0, -20))
    assert ours[0].kept == published[0].kept == 0.0
    assert ours[-1].kept == pytest.approx((nineteenth - last) * first / (first - last), abs=1e-9)
    assert published[-1].kept == pytest.approx(nineteenth, abs=1e-9)
    assert ours[-1].following == published[-1].following == 1.0
    assert all(step.seen == step.kept for step in ours)
    for step in published:
        assert abs(step.seen - step.kept) < 6e-4
    for steps in (ours, published):
        assert [step.following for step in steps[:-1]] == [step.kept for step in steps[1:]]


def test_the_guidance_jumps_as_published_or_rises_as_meant() -> None:
    published = [guidance(PUBLISHED, i, step.timestep) for i, step in enumerate(schedule(PUBLISHED))]
    assert published[0] == 1 + 6 * (1 - math.cos(math.pi * ((50 - 999) / 50) ** 5)) / 2
    assert published[-1] == pytest.approx(1 + 6 * (1 - math.cos(math.pi * (31 / 50) ** 5)) / 2)
    assert sorted(published) != published
    assert min(published) < 1.5
    assert max(published) > 6.5
    ramp = [guidance(replace(OURS, guidance="ramp"), i, 0) for i in range(50)]
    assert ramp == sorted(ramp)
    assert ramp[0] == 1.0
    assert guidance(replace(OURS, guidance="constant", guidance_scale=4.0), 7, 500) == 5.0


def test_the_last_step_is_the_prediction_and_the_first_forgets_what_was_there() -> None:
    clean, noise = torch.rand(3), torch.ones(3)
    steps = [Step(999, 0.0, 0.0, 0.6), Step(500, 0.6, 0.6, 1.0)]
    first = solver_step(torch.full((3,), 1e6), [clean], steps[:1], lambda: noise)
    torch.testing.assert_close(first, 0.6 * clean + 0.8 * noise)
    assert torch.equal(solver_step(first, [noise, clean], steps, lambda: noise), clean)


class Noted(torch.nn.Module):
    """A network that says which text it saw, and keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Tensor, int]] = []

    def forward(self, x: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
        self.seen.append((x, int(timestep)))
        return x[:, :, :16] + text.sum()


def test_the_low_resolution_stands_beside_and_no_text_is_zeros() -> None:
    config = replace(OURS, steps=2, guidance="constant")
    noise, low = torch.randn(2, 16, 4, 6), torch.randn(2, 16, 4, 6)
    network, told, text = Noted(), list[int](), torch.full((3, 5), 0.1)
    sampler = ClipSampler(network, oblong(480), config, lambda: None, lambda done, total: told.append(done))
    sampler.sample(Clip(low, text, lambda step: noise))
    assert told == [1, 2]
    assert [timestep for _, timestep in network.seen] == [999, 999, 499, 499]
    assert torch.equal(network.seen[0][0][0], torch.cat([noise, low], dim=1))
    velocity = sampler._velocity(Clip(low, text, lambda step: noise), noise, 0, 999)
    torch.testing.assert_close(velocity, noise + 7 * 1.5, rtol=0, atol=1e-5)


def test_tiles_are_oblong_and_whole_tokens() -> None:
    tiles = oblong(480)
    assert (tiles.tile, tiles.wide) == (60, 90)
    places = list(tiles.places(120, 200))
    spans = [(s.start, s.stop) for place in places for s in place]
    assert all(start % 2 == 0 and stop % 2 == 0 for start, stop in spans)
    covered = torch.zeros(120, 200)
    for rows, columns in places:
        assert (rows.stop - rows.start, columns.stop - columns.start) == (60, 90)
        covered[rows, columns] += 1
    assert covered.min() >= 1
    assert list(tiles.places(40, 70)) == [(slice(0, 40), slice(0, 70))]


def test_noise_is_decided_by_seed_step_and_number() -> None:
    """Windows of 7 latents that share 3 see the same 7 of noise, each once; shared latents theirs."""
    indices = OURS.noise.indices(range(40))
    assert all(sorted(indices[start : start + 7]) == list(range(7)) for start in range(0, 33, 4))
    for start in range(0, 32, 4):
        assert list(OURS.noise.indices(range(start, start + 7))) == list(indices[start : start + 7])
    size, cpu = (16, 2, 3), torch.device("cpu")
    noise = OURS.noise.of_clip(range(8, 11), size, cpu)
    assert torch.equal(noise(3)[0], OURS.noise.of_clip(range(4, 9), size, cpu)(3)[4])
    assert not torch.equal(noise(3), noise(4))
    assert not torch.equal(noise(BEGINNING), replace(OURS, seed=1).noise.of_clip(range(8, 11), size, cpu)(BEGINNING))
    own = replace(OURS, reschedule=False).noise.of_clip(range(20), (1, 1, 1), cpu)(0)
    assert len(set(own.flatten().tolist())) == 20


def test_frames_are_enlarged_padded_and_cut_again() -> None:
    images = torch.rand(2, 3, 17, 23)
    large = enlarge(images)
    assert large.shape == (2, 3, 80, 96)
    assert large.min() >= -1
    assert large.max() <= 1
    back = finish(large[0], (17, 23))
    assert back.shape == (3, 68, 92)
    torch.testing.assert_close(back[:, 2::4, 2::4].mean(), images[0].mean(), rtol=0, atol=0.05)


@torch.inference_mode()
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_decoder_takes_any_number_of_latents(count: int) -> None:
    latents = torch.randn(count, 16, 4, 4, generator=torch.Generator().manual_seed(count))
    frames = decode_clip(quick_vae(), latents, 64, lambda: None)
    assert frames.shape == (4 * (count - 1) + 1, 3, 32, 32)
    if count % 2:
        whole = quick_vae().decode((latents / 0.7).transpose(0, 1)[None]).sample[0].transpose(0, 1)
        torch.testing.assert_close(frames, whole, rtol=0, atol=1e-6)


@torch.inference_mode()
def test_the_encoder_is_the_librarys() -> None:
    frames = torch.rand(9, 3, 32, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mean, deviation = encode_clip(quick_vae(), frames, 64, lambda: None)
    found = quick_vae().encode(frames.transpose(0, 1)[None]).latent_dist
    torch.testing.assert_close(mean, found.mean[0].transpose(0, 1), rtol=0, atol=1e-6)
    torch.testing.assert_close(deviation, found.std[0].transpose(0, 1), rtol=0, atol=1e-6)
    assert mean.shape == (3, 16, 4, 6)


def test_memory_and_size_set_the_tiles() -> None:
    def plan(config: StarCogConfig, memory: int, size: tuple[int, int] = (270, 480)) -> tuple[int, ...]:
        return make(config, memory).plan(*size).tiles

    assert plan(OURS, 1 << 40)[0] == 120
    assert plan(OURS, 1 << 40, (120, 180)) == (0, 120)
    assert plan(OURS, 1) == (48, 32)
    assert 48 < plan(OURS, 1 << 30)[0] < 120
    assert plan(replace(OURS, tile=256, vae_tile=192), 1) == (64, 48)
    assert make(OURS).plan(120, 180).length == 16
    assert make(OURS).plan(120, 180).look_ahead == 9
    assert denoiser_tile(120, (270, 480)) == 480
    assert oblong(denoiser_tile(0, (120, 180))).tile == 60
    assert vae_tile(0, (30, 40)) == 160
    assert vae_tile(60, (270, 480)) == 224
