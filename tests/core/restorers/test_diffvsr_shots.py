"""DiffVSR's restorer over any shot: windows, tiles, memory, precision, cancelling."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from textovsr.core.errors import CancelledError, OutOfMemoryError, SettingError
from textovsr.core.overlaps import filled_order, with_context
from textovsr.core.restoration import Restoration, Result
from textovsr.core.restorer import PromptedFrame, Shot
from textovsr.core.restorers.diffvsr.config import DiffVsrConfig
from textovsr.core.restorers.diffvsr.restorer import DiffVsrRestorer, DiffVsrShot
from textovsr.core.restorers.diffvsr.tiles import CutShot, published_tiles
from textovsr.core.restorers.parts import HeldParts
from textovsr.core.windows import WindowPlan, slide
from textovsr.models.open_clip_text import OpenClipConfig, OpenClipText
from textovsr.tests.helpers.diffvsr import quick_vae, small_unet
from textovsr.tests.helpers.diffvsr_shots import ENOUGH, QUICK, Words, clip, embed, make, parts, run
from textovsr.tests.helpers.threads import one_thread  # noqa: F401 - a fixture


def test_seventeen_frames_come_out_and_a_run_goes_on_anywhere() -> None:
    frames, restorer = clip(17, 24, 40), make(replace(QUICK, steps=2))
    whole, pauses, told = run(frames, restorer)
    assert len(whole) == 17
    assert not told
    assert all(image.shape == (3, 96, 160) and image.isfinite().all() for image in whole)
    assert [pause.position.in_shot for pause in pauses] == [4, 8, 12, 16, 0]
    for pause in (pauses[1], pauses[3]):
        rest, _, _ = run(frames, make(replace(QUICK, steps=2)), pause)
        done = pause.position.in_shot
        assert all(torch.equal(a, b) for a, b in zip(rest, whole[done:], strict=True)), done
    assert not torch.allclose(whole[0], whole[1], atol=1e-3)


@pytest.mark.parametrize("count", range(1, 10))
def test_any_number_of_frames(count: int) -> None:
    """By turns with the published end, which the published code cannot do below five frames."""
    results, _, _ = run(clip(count, 16, 16), make(replace(QUICK, end=("plain", "published")[count % 2])))
    assert len(results) == count
    assert all(image.shape == (3, 64, 64) and image.isfinite().all() for image in results)


def test_odd_sizes_and_captions_of_each_frame() -> None:
    frames = clip(5, 17, 23)
    plain, _, _ = run(frames, make())
    assert plain[0].shape == (3, 68, 92)
    spoken = [replace(frame, prompt="a long caption") if i >= 4 else frame for i, frame in enumerate(frames)]
    assert not torch.equal(run(spoken, make())[0][4], plain[4])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_gives_about_the_same(dtype: torch.dtype) -> None:
    frames, config = clip(5, 16, 16), replace(QUICK, decoder="float32")
    networks = {"text": Words(), "denoiser": deepcopy(small_unet()), "vae": deepcopy(quick_vae())}
    restorer = DiffVsrRestorer(HeldParts(networks, torch.device("cpu"), dtype), config, ENOUGH, embed)
    halves = torch.stack(run(frames, restorer)[0])
    assert halves.dtype == torch.float32
    assert next(networks["denoiser"].parameters()).dtype == dtype
    assert next(networks["vae"].parameters()).dtype == torch.float32
    torch.testing.assert_close(halves, torch.stack(run(frames, make(config))[0]), rtol=0, atol=0.05)


def test_a_prompt_is_embedded_once() -> None:
    asked: list[str] = []

    def noted(network: nn.Module, prompts: Sequence[str]) -> Tensor:
        asked.extend(prompts)
        return network(prompts)

    restorer = DiffVsrRestorer(parts(), QUICK, ENOUGH, noted)
    for _ in range(2):
        restorer.texts(["a cat", "a cat", "a dog"])
    assert asked == [QUICK.negative, f"a cat {QUICK.suffix}", f"a dog {QUICK.suffix}"]
    for number in range(100):
        restorer.texts([f"{number}"])
    assert len(restorer._texts) < 40


@torch.inference_mode()
def test_the_tower_of_open_clip_says_what_is_seen() -> None:
    tower = OpenClipText(OpenClipConfig(width=32, layers=1, heads=2, hidden=32))
    networks = {"text": tower.eval(), "denoiser": small_unet(), "vae": quick_vae()}
    restorer = DiffVsrRestorer(HeldParts(networks, torch.device("cpu"), torch.float32), QUICK, ENOUGH)
    positive, negative = restorer.texts(["a street"] * 2)
    assert positive.shape == negative.shape == (2, 77, 32)


def test_the_decoder_knows_its_neighbours() -> None:
    assert with_context(range(2, 6), 10, 4, 2) == [(range(2, 6), range(8))]
    assert with_context(range(10), 10, 4, 1) == [
        (range(4), range(5)),
        (range(4, 8), range(3, 9)),
        (range(8, 10), range(7, 10)),
    ]
    frames = clip(9)
    alone, near = (run(frames, make(replace(QUICK, context=context)))[0] for context in (0, 2))
    step = [float((a - b).abs().mean()) for a, b in zip(alone, near, strict=True)]
    assert all(step), "every frame is decoded with others"


def test_tiles_are_blended_at_every_step() -> None:
    frames = clip(5, 32, 40)
    whole, tiled = (run(frames, make(replace(QUICK, tile=tile, decoder_tile=tile)))[0] for tile in (0, 24))
    assert all(a.shape == b.shape for a, b in zip(whole, tiled, strict=True))
    assert max(float((a - b).abs().mean()) for a, b in zip(whole, tiled, strict=True)) > 0
    edges = [float((image[:, :, 1:] - image[:, :, :-1]).abs().mean(dim=(0, 1)).max()) for image in (whole[0], tiled[0])]
    assert edges[1] < 1.5 * edges[0], "no column stands out"


def test_published_tiles_are_cut_hard() -> None:
    spans = [[(tile.columns, tile.kept_columns) for tile in published_tiles((10, width), 256)] for width in (700, 560)]
    assert spans[0] == [
        (slice(0, 320), slice(0, 256)),
        (slice(192, 576), slice(256, 512)),
        (slice(448, 700), slice(512, 700)),
    ]
    assert spans[1] == [(slice(0, 320), slice(0, 256)), (slice(192, 560), slice(256, 560))]


def test_a_published_tile_is_restored_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textovsr.core.restorers.diffvsr.tiles.DIFFVSR_CONTEXT", 8)
    restorer, frames = make(replace(QUICK, tiling="published", tile=16)), clip(5, 16, 40)
    results, pauses, _ = run(frames, restorer)
    assert isinstance(restorer.open_shot(16, 40, restorer.plan(16, 40)), CutShot)
    noise = restorer.noise(restorer.config, (16, 40)).cut(slice(0, 16), slice(0, 24))
    alone = DiffVsrShot(restorer, noise, (16, 24), WindowPlan(4, 4, (0, 0)))
    cut = [PromptedFrame(frame.image[:, :, :24]) for frame in frames]
    expected = list(alone.restore(next(iter(slide(cut, WindowPlan(4, 4)))), lambda: None))
    assert all(torch.equal(a[..., :64], b[..., :64]) for a, b in zip(results, expected, strict=False))
    rest, _, _ = run(frames, make(restorer.config), pauses[0])
    assert torch.equal(rest[0], results[4])


def test_a_shot_goes_on_with_other_published_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textovsr.core.restorers.diffvsr.tiles.DIFFVSR_CONTEXT", 8)
    restorer = make(replace(QUICK, tiling="published", tile=16))

    def opened(side: int) -> Shot:
        return restorer.open_shot(20, 40, WindowPlan(4, 4, (side, 0)))

    whole = {"ahead": torch.rand(4, 4, 20, 40), "before": torch.rand(2, 4, 20, 40)}
    wide, narrow = opened(24), opened(16)
    wide.load_state(whole)
    narrow.load_state(wide.state())
    again = opened(16)
    again.load_state(whole)
    assert narrow.state().keys() == again.state().keys() == {f"16.{i}.{key}" for i in range(2) for key in whole}
    assert all(torch.equal(value, again.state()[key]) for key, value in narrow.state().items())
    assert torch.equal(wide.state()["24.1.ahead"], whole["ahead"][..., 16:])
    empty = opened(16)
    empty.load_state({})
    assert not empty.state()


def test_a_check_stops_the_work_inside_a_step() -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise CancelledError

    restorer = make(replace(QUICK, steps=50, tile=16))
    frames = clip(3, 16, 40)
    with pytest.raises(CancelledError):
        list(Restoration(restorer, restorer.plan(16, 40), check, print).run(frames))
    assert calls == 6


class Scarce(HeldParts):
    """Networks that find no memory at one use of one of them."""

    def __init__(self, held: HeldParts, name: str, fails: Iterator[bool]) -> None:
        super().__init__(held._networks, held.device, held.dtype)
        self._name, self._fails = name, fails

    def use(self, *names: str) -> tuple[nn.Module, ...]:
        if self._name in names and next(self._fails, False):
            raise RuntimeError("CUDA out of memory (not really)")
        return super().use(*names)


@pytest.mark.parametrize("name", ["denoiser", "vae"])
def test_when_memory_runs_out_the_work_goes_on_with_less(name: str) -> None:
    frames = clip(9)
    restorer = DiffVsrRestorer(Scarce(parts(), name, iter([False, True])), QUICK, ENOUGH, embed)
    results, _, told = run(frames, restorer)
    assert len(results) == 9
    assert len(told) == 1
    assert "tiles of 16 pixels" in told[0]
    plain = run(frames, make())[0]
    assert all(torch.equal(a, b) for a, b in zip(results[:4], plain[:4], strict=True)), "what came out before stays"


def test_shorter_windows_work_too_and_nothing_at_all_is_said_so() -> None:
    frames = clip(9)
    restorer = make()
    restoration = Restoration(restorer, WindowPlan(2, 4, (0, 0)), lambda: None, print)
    assert sum(isinstance(item, Result) for item in restoration.run(frames)) == 9
    never = DiffVsrRestorer(Scarce(parts(), "text", iter([True] * 99)), QUICK, ENOUGH, embed)
    with pytest.raises(OutOfMemoryError, match="Expected windows of 1 frames"):
        run(frames, never)


def test_memory_and_size_set_the_tiles() -> None:
    config = DiffVsrConfig()
    assert make(config, 1 << 36).plan(180, 320) == WindowPlan(4, 4, (0, 0))
    assert make(config, 1 << 36).plan(360, 640).tiles[0] == 384
    assert all(64 < side < 320 for side in make(config, 1 << 32).plan(180, 320).tiles)
    assert make(config, 1).plan(180, 320).tiles == (64, 64)
    assert make(replace(config, tile=100, decoder_tile=48), 1).plan(180, 320).tiles == (100, 48)
    assert make(DiffVsrConfig.published(), 1).plan(180, 320).tiles[0] == 0
    assert make(DiffVsrConfig.published()).plan(360, 640).tiles[0] == 256


@torch.inference_mode()
def test_one_text_or_both_at_once_or_after_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, batches = clip(2, 16, 16), []
    hook = small_unet().register_forward_hook(lambda _, inputs, __: batches.append(len(inputs[0])))
    both = run(frames, make())[0]
    monkeypatch.setattr("textovsr.core.restorers.diffvsr.sampling.BOTH_PIXELS", 255)
    each = run(frames, make())[0]
    alone = run(frames, make(replace(QUICK, guidance_scale=1.0)))[0]
    hook.remove()
    assert batches == [2, 1, 1, 1]
    torch.testing.assert_close(torch.stack(each), torch.stack(both), rtol=0, atol=1e-5)
    assert not torch.allclose(alone[0], both[0], atol=1e-3)


def test_identity_names_weights_and_settings() -> None:
    plain = make().identity
    assert plain == make().identity
    assert plain != make(replace(QUICK, noise_level=51)).identity
    assert plain.startswith("DiffVSR ")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 501}, "1 to 500 steps, got 501"),
        ({"noise_level": 351}, "noise level of 0 to 350, got 351"),
        ({"guidance_scale": float("nan")}, "guidance scale of 1 or more, got nan"),
        ({"overlap": 8}, "overlap by less, got 8 and 8"),
        ({"curve": "bent"}, "one of the curves .*got 'bent'"),
        ({"tiling": "none"}, "blended or published, got 'none'"),
        ({"end": "none"}, "plain or published, got 'none'"),
        ({"decoder": "none"}, "float32 or same, got 'none'"),
        ({"context": -1}, "0 or more, got -1"),
    ],
)
def test_settings_out_of_range_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        DiffVsrConfig(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "order"),
    [(1, [0] * 8), (2, [0, 1, 0, 1, 0, 1, 0, 1]), (3, [0, 1, 2, 1, 0, 1, 2, 1]), (6, [0, 1, 2, 3, 4, 5, 4, 3])],
)
def test_short_windows_are_filled_by_going_back(count: int, order: list[int]) -> None:
    assert filled_order(count, 8) == order
