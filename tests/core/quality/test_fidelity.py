import math

import pytest
import skimage.metrics
import torch

from textovsr.core.errors import ShapeError
from textovsr.core.quality.fidelity import luma, psnr_y, ssim_y


def clip() -> torch.Tensor:
    return torch.rand(2, 3, 24, 32, generator=torch.Generator().manual_seed(0)) * 0.8


def test_luma_is_in_studio_range() -> None:
    ends = torch.stack([torch.zeros(3, 1, 1), torch.ones(3, 1, 1)])
    assert luma(ends).flatten().tolist() == pytest.approx([16 / 255, 235 / 255])


def test_psnr_of_a_known_error() -> None:
    # A grey step of .1 is one of .1 * 219/255 in luma.
    assert psnr_y(clip() + 0.1, clip()) == pytest.approx(-20 * math.log10(0.1 * 219 / 255), abs=1e-4)
    assert psnr_y(clip(), clip()) == math.inf


def test_ssim_is_one_for_equals_and_falls_with_noise() -> None:
    noise = torch.randn(clip().shape, generator=torch.Generator().manual_seed(1))
    assert ssim_y(clip(), clip()) == pytest.approx(1)
    little, much = (ssim_y(clip() + noise * sigma, clip()) for sigma in (0.02, 0.1))
    assert 1 > little > 0.95 > much


def test_they_agree_with_scikit_image() -> None:
    noisy = (clip() + torch.randn(clip().shape, generator=torch.Generator().manual_seed(1)) * 0.05).double()
    for x, reference in zip(noisy, clip().double(), strict=True):
        ours, theirs = luma(x).numpy(), luma(reference).numpy()
        psnr = skimage.metrics.peak_signal_noise_ratio(theirs, ours, data_range=1.0)
        assert psnr_y(x, reference) == pytest.approx(psnr, abs=1e-6)
        settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
        _, everywhere = skimage.metrics.structural_similarity(theirs, ours, full=True, **settings)
        assert ssim_y(x[None], reference[None]) == pytest.approx(everywhere[5:-5, 5:-5].mean(), abs=1e-6)


def test_sizes_have_to_be_equal() -> None:
    with pytest.raises(ShapeError, match="two clips of one size"):
        psnr_y(clip(), clip()[:1])
