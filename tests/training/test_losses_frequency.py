"""STAR's dynamic frequency loss: its value worked out with numpy; where the gradient goes, and whether it is right."""

import numpy as np
import pytest
import torch
from torch import Tensor

from textovsr.core.errors import ShapeError
from textovsr.training.losses import dynamic_frequency_loss, frequency_weights

STEPS = torch.tensor([120, 700])


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def spectra(x: Tensor) -> np.ndarray:
    """Of each frame and colour of a clip, by the sum that defines it."""
    frames = 2 * x.detach().numpy() - 1
    height, width = frames.shape[-2:]
    down = np.exp(-2j * np.pi * np.outer(np.arange(height), np.arange(height)) / height)
    across = np.exp(-2j * np.pi * np.outer(np.arange(width), np.arange(width // 2 + 1)) / width)
    return np.asarray(down @ frames @ across)


def weak(spectrum: np.ndarray) -> np.ndarray:
    size = np.abs(spectrum)
    return np.asarray((1 + np.tanh(10 * (np.quantile(size, 0.8) - size) / 2)) / 2)  # sigmoid


def gap(made: np.ndarray, true: np.ndarray) -> float:
    both = made - true
    return float((np.abs(both.real).mean() + np.abs(both.imag).mean()) / 2)


def worked_out(x: Tensor, y: Tensor, t: int, own: bool) -> float:
    """The loss of one clip (T,3,H,W)."""
    made, true = spectra(x), spectra(y)
    low_true = weak(true)
    low_made = weak(made) if own else low_true
    c = (t / 999) ** 2
    parts = c * gap(low_made * made, low_true * true) + (1 - c) * gap((1 - low_made) * made, (1 - low_true) * true)
    return (1 - t / 999) * 0.01 * parts


@pytest.mark.parametrize("size", [(12, 20), (7, 9)])
@pytest.mark.parametrize("masks", ["truth", "own"])
def test_the_value_is_the_equation_s(masks: str, size: tuple[int, int]) -> None:
    """Two clips of three frames, each with its own step, cut and mask."""
    x, y = noise(2, 3, 3, *size), noise(2, 3, 3, *size, seed=1) * 0.5
    expected = [worked_out(*pair, int(t), masks == "own") for *pair, t in zip(x, y, STEPS, strict=True)]
    loss = dynamic_frequency_loss(x, y, STEPS, masks)  # type: ignore[arg-type]
    assert float(loss) == pytest.approx(float(np.mean(expected)), rel=1e-6)
    single = dynamic_frequency_loss(x.float(), y.float(), STEPS, masks)  # type: ignore[arg-type]
    assert float(single) == pytest.approx(float(loss), rel=1e-3)


def test_the_ways_to_mask_are_two() -> None:
    x, y = noise(2, 3, 3, 12, 20), noise(2, 3, 3, 12, 20, seed=1) * 0.5
    own, shared = (float(dynamic_frequency_loss(x, y, STEPS, masks)) for masks in ("own", "truth"))
    assert own != pytest.approx(shared, rel=1e-2)


def test_the_weights_over_the_steps() -> None:
    low, high = frequency_weights(torch.arange(1000))
    assert (float(low[0]), float(high[0])) == (0, pytest.approx(0.01))
    assert float(low[999]) == float(high[999]) == 0
    assert int(low.argmax()) == 666  # of (1-u) u^2: u = 2/3
    assert int((low > high).nonzero()[0]) == 707  # u^2 = 1/2
    torch.testing.assert_close(low + high, 0.01 * (1 - torch.arange(1000) / 999))
    assert [float(part[500]) for part in (low, high)] == pytest.approx([0.001251252, 0.003743744], rel=1e-4)


@pytest.mark.parametrize("masks", ["truth", "own"])
def test_gradient_reaches_every_frame_of_the_result_and_nothing_else(masks: str) -> None:
    x, y = noise(2, 3, 3, 12, 20).requires_grad_(), noise(2, 3, 3, 12, 20, seed=1).requires_grad_()
    dynamic_frequency_loss(x, y, STEPS, masks).backward()  # type: ignore[arg-type]
    assert x.grad is not None
    assert (x.grad.abs().amax(dim=(2, 3, 4)) > 0).all()
    assert y.grad is None


def test_the_gradient_is_that_of_the_value() -> None:
    """Finite differences; with the truth's masks there is nothing in the value that passes no gradient on."""
    x, y = noise(2, 2, 1, 5, 6, seed=2).requires_grad_(), noise(2, 2, 1, 5, 6, seed=3)
    assert torch.autograd.gradcheck(lambda x: dynamic_frequency_loss(x, y, STEPS), x, eps=1e-7)


def test_its_own_masks_count_as_given() -> None:
    """Along a direction: finite differences of the equation whose masks stay as they are."""
    x, y, step = noise(1, 2, 3, 8, 6), noise(1, 2, 3, 8, 6, seed=1), noise(1, 2, 3, 8, 6, seed=2) - 0.5
    made, true = weak(spectra(x[0])), weak(spectra(y[0]))
    low, high = (float(part) for part in frequency_weights(torch.tensor(400.0, dtype=torch.double)))

    def value(at: Tensor) -> float:
        now, then = spectra(at[0]), spectra(y[0])
        return low * gap(made * now, true * then) + high * gap((1 - made) * now, (1 - true) * then)

    x.requires_grad_()
    dynamic_frequency_loss(x, y, torch.tensor([400]), "own").backward()
    assert x.grad is not None
    found = (value(x + 1e-7 * step) - value(x - 1e-7 * step)) / 2e-7
    assert float((x.grad * step).sum()) == pytest.approx(found, rel=1e-5)


def test_a_clip_does_not_see_its_neighbours() -> None:
    x, y = noise(2, 3, 3, 12, 20), noise(2, 3, 3, 12, 20, seed=1) * torch.tensor([1, 0.1]).view(2, 1, 1, 1, 1)
    alone = [dynamic_frequency_loss(x[i : i + 1], y[i : i + 1], STEPS[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(dynamic_frequency_loss(x, y, STEPS), (alone[0] + alone[1]) / 2)


def test_nothing_is_left_of_it_at_the_truth_or_in_noise_alone() -> None:
    x, y = noise(2, 3, 3, 12, 20), noise(2, 3, 3, 12, 20, seed=1)
    assert float(dynamic_frequency_loss(y, y, STEPS)) == 0
    assert float(dynamic_frequency_loss(x, y, torch.tensor([999, 999]))) == 0
    assert float(dynamic_frequency_loss(x, y, torch.tensor([0, 0]))) > 0


def test_the_loss_leads_to_the_truth() -> None:
    x, y = noise(1, 2, 3, 12, 20, seed=5).requires_grad_(), noise(1, 2, 3, 12, 20, seed=6)
    optimizer, first = torch.optim.Adam([x], lr=0.02), float((x - y).detach().abs().mean())
    for _ in range(80):
        optimizer.zero_grad()
        dynamic_frequency_loss(x, y, torch.tensor([600])).backward()
        optimizer.step()
    assert float((x - y).detach().abs().mean()) < 0.1 * first


def test_half_precision_is_computed_in_single() -> None:
    x, y = (noise(1, 1, 3, 7, 9, seed=seed).half() for seed in (0, 1))
    whole = dynamic_frequency_loss(x.float(), y.float(), torch.tensor([300]))
    assert float(dynamic_frequency_loss(x, y, torch.tensor([300]))) == float(whole)


def test_shapes_that_do_not_fit_are_refused() -> None:
    clips = noise(2, 2, 3, 8, 8)
    with pytest.raises(ShapeError, match=r"got \(2, 2, 3, 8, 8\) and \(2, 2, 3, 8, 7\)"):
        dynamic_frequency_loss(clips, clips[..., :-1], STEPS)
    with pytest.raises(ShapeError, match=r"each of 2 clips, \(2,\), got \(1,\)"):
        dynamic_frequency_loss(clips, clips, STEPS[:1])
