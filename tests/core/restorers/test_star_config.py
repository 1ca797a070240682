"""What can be asked of STAR."""

import pytest

from textovsr.core.errors import SettingError
from textovsr.core.restorers.star.config import StarConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 1}, "2 to 1000 steps, got 1"),
        ({"guidance_scale": 0.5}, "guidance scale of 1 or more, got 0.5"),
        ({"guidance_scale": float("inf")}, "guidance scale of 1 or more, got inf"),
        ({"rescale": 1.5}, "rescale of 0 to 1, got 1.5"),
        ({"window": 0}, "window and a group of 1 frame or more .*got 0, 4 and 2"),
        ({"context": -1}, "context of 0 or more, got 32, 4 and -1"),
        ({"overlap": 32}, "overlap by less, got 32 and 32"),
        ({"curve": "bent"}, "one of the curves .*got 'bent'"),
        ({"mode": "quick"}, "fast or normal, got 'quick'"),
        ({"latents": "none"}, "mean or sample, got 'none'"),
        ({"padding": "none"}, "needed or published, got 'none'"),
        ({"color_source": "none"}, "enlarged or published, got 'none'"),
        ({"tile": 100}, "a tile of a multiple of 64 pixels, or 0 for automatic, got 100"),
        ({"vae_tile": -64}, "a vae_tile of a multiple of 64 pixels, or 0 for automatic, got -64"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        StarConfig(**settings)  # type: ignore[arg-type]


def test_a_network_sees_a_quarter_more_than_a_window_at_most() -> None:
    assert StarConfig().together == 32
    assert StarConfig.published().together == 40
