"""Exporting the shipped network: what is lost, over many frames, on other processors; and what is refused."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textovsr.core.config import RecurrentConfig
from textovsr.core.durable import sha256_of
from textovsr.core.errors import CancelledError, OutputError, SettingError
from textovsr.core.export.calibrate import WEIGHT_LEVELS, Observed, quantize
from textovsr.core.export.config import ExportConfig, Exported
from textovsr.core.export.export import export_network
from textovsr.core.export.material import bundled_material
from textovsr.core.job import Job
from textovsr.core.pipeline import restore_frames
from textovsr.core.quality.fidelity import psnr_y
from textovsr.core.restorers.loading import load_restorer
from textovsr.core.video.reader import VideoReader
from textovsr.models.catalog import find_weights
from textovsr.models.exported import load_exported
from textovsr.tests.helpers.exported import save_tiny_exported
from textovsr.tests.helpers.networks import save_tiny

CPU = torch.device("cpu")
MANY = 104


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The shipped network in 8 bits."""
    output = tmp_path_factory.mktemp("export") / "lite8.safetensors"
    return export_network(find_weights("textovsr-lite", []), output, ExportConfig(frames=2))


def restore(path: Path, clip: Tensor) -> Tensor:
    restorer = load_restorer(path, RecurrentConfig(), CPU, 1 << 32)
    return torch.stack(list(restore_frames(((frame, 0.0) for frame in clip), restorer, Job())))


def test_the_shipped_network_loses_little(lite: Exported) -> None:
    assert lite.worst_loss < 0.1
    assert lite.difference > 45
    card = load_exported(lite.path).card
    assert card["source_sha256"] == sha256_of(find_weights("textovsr-lite", []))
    assert (card["name"], card["licence"]) == ("textovsr-lite", "Apache-2.0")
    assert card["recipe"] == {"precision": "int8", "fidelity": 1.0, "frames": 2, "seed": 0}
    assert card["measured"] == {"loss": lite.loss, "worst_loss": lite.worst_loss, "difference": lite.difference}


@pytest.mark.slow
def test_nothing_piles_up_over_many_frames(lite: Exported, phone_clip: Path) -> None:
    """The recurrence carries what 8 bits lose from frame to frame: after a hundred it is as much as after twenty."""
    with VideoReader(phone_clip) as reader:
        footage = torch.stack([frame.image[..., :176, 32:288] for frame in reader])
    there_and_back = torch.cat([footage, footage.flip(0)[1:-1]])
    truth = torch.cat([there_and_back, there_and_back])[:MANY]
    clip = F.interpolate(truth, scale_factor=0.25, mode="bicubic", antialias=True).clamp(0, 1)
    found, expected = restore(lite.path, clip), restore(find_weights("textovsr-lite", []), clip)
    first, last = psnr_y(found[:20], expected[:20]), psnr_y(found[-20:], expected[-20:])
    assert last > 45
    assert last > first - 3
    assert psnr_y(expected[-20:], truth[-20:]) - psnr_y(found[-20:], truth[-20:]) < 0.1


def test_the_others_only_say_how_weights_are_stored(tmp_path: Path) -> None:
    source = save_tiny(tmp_path / "tiny.safetensors")  # in 16 bits
    done = export_network(source, tmp_path / "out.safetensors", ExportConfig(precision="fp32", frames=2))
    assert (done.layers, done.loss) == (0, 0)
    assert done.difference > 80
    assert done.bytes == pytest.approx(2 * source.stat().st_size, rel=0.02)


def test_weights_have_seven_bits_and_a_scale_for_each_output() -> None:
    layer = nn.Conv2d(2, 3, 3)
    with torch.no_grad():
        layer.weight[1] *= 100
        layer.weight[2] = 0
    found = quantize(layer, -1.0, 1.0)
    assert found.weight.abs().amax(dim=(1, 2, 3)).tolist() == [WEIGHT_LEVELS, WEIGHT_LEVELS, 0]
    error = (found.real() - layer.weight.detach()).abs().amax(dim=(1, 2, 3))
    assert (error <= found.scale / 2 * 1.001).all()


def test_ranges_have_a_zero_and_leave_rare_extremes_out() -> None:
    values = torch.randn(1, 1, 300, 300, generator=torch.Generator().manual_seed(0))
    values[0, 0, 0, 1] = 40.0
    observed = Observed()
    observed.add(values)
    low, high = observed.range()
    step = (high - low) / 255
    assert low / step == pytest.approx(round(low / step), abs=1e-3)
    assert 3 < high < 30
    positive = Observed()
    positive.add(values.abs())
    assert positive.range()[0] == 0


def test_what_it_is_judged_by_is_not_what_it_is_calibrated_with() -> None:
    material, again = bundled_material(2, 0), bundled_material(2, 0)
    assert [clip.words for clip in material.calibration] == [clip.words for clip in again.calibration]
    assert all(torch.equal(a.frames, b.frames) for a, b in zip(material.judged, again.judged, strict=True))
    shown = [clip.truth for clip in material.calibration if clip.truth is not None]
    for clip in material.judged:
        assert clip.truth is not None
        assert tuple(4 * side for side in clip.frames.shape[-2:]) == clip.truth.shape[-2:]
        assert not any(torch.equal(clip.truth, other) for other in shown)


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    source, output = save_tiny(tmp_path / "tiny.safetensors"), tmp_path / "out.safetensors"
    with pytest.raises(OutputError, match=r"a name that ends in .safetensors, got out.onnx"):
        export_network(source, tmp_path / "out.onnx")
    with pytest.raises(OutputError, match="Expected a folder"):
        export_network(source, tmp_path / "none" / "out.safetensors")
    with pytest.raises(SettingError, match="Expected 2 to 8 frames of each clip, got 1"):
        export_network(source, output, ExportConfig(frames=1))
    with pytest.raises(SettingError, match=r"Expected weights of TextOVSR to export, got Dcm in sdatc-dcm"):
        export_network(find_weights("sdatc-dcm", []), output)
    with pytest.raises(SettingError, match="got ExportedTextOVSR in tiny8"):
        export_network(save_tiny_exported(tmp_path / "tiny8.safetensors"), output)
    assert not output.exists()


def test_what_the_system_refuses_to_write_is_explained(tmp_path: Path) -> None:
    source, output = save_tiny(tmp_path / "tiny.safetensors"), tmp_path / "out.safetensors"
    output.mkdir()
    with pytest.raises(OutputError, match=r"Expected to write .*out.safetensors, got: .*; check its disk"):
        export_network(source, output, ExportConfig(precision="fp16", frames=2))
    assert {entry.name for entry in tmp_path.iterdir()} == {"tiny.safetensors", "out.safetensors"}


def test_more_loss_than_allowed_writes_nothing(tmp_path: Path) -> None:
    source, output = save_tiny(tmp_path / "tiny.safetensors"), tmp_path / "out.safetensors"
    with pytest.raises(OutputError, match=r"Expected a loss of at most -1 dB, got .*; nothing was written"):
        export_network(source, output, ExportConfig(precision="fp16", frames=2, most_loss=-1))
    assert [entry.name for entry in tmp_path.iterdir()] == ["tiny.safetensors"]


def test_it_can_be_cancelled(tmp_path: Path) -> None:
    def stop() -> None:
        raise CancelledError("stop")

    with pytest.raises(CancelledError):
        export_network(
            save_tiny(tmp_path / "tiny.safetensors"), tmp_path / "out.safetensors", ExportConfig(frames=2), stop
        )
    assert [entry.name for entry in tmp_path.iterdir()] == ["tiny.safetensors"]
