"""The parts of benchmarks/quality.py that a wrong table would not give away."""

import importlib
import struct
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("quality_peers")


@pytest.fixture
def text(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("quality_text")


def write_ncnn(network: nn.Sequential, folder: Path, half: bool) -> tuple[Path, Path]:
    """A convolution to 3 of 3 channels and a PReLU as ncnn stores them; 81 halves are padded to a multiple of four."""
    conv, relu = network[0], network[1]
    param = "7767517\n3 3\nInput in 0 1 data\nConvolution c 1 1 data a 0=3 1=3 4=1 5=1 6=81\nPReLU p 1 1 a b 0=3\n"
    weight = conv.weight.detach().numpy().astype(np.float16 if half else np.float32).tobytes()
    data = struct.pack("<I", 0x01306B47 if half else 0) + weight + b"\0" * (-len(weight) % 4)
    data += conv.bias.detach().numpy().tobytes() + relu.weight.detach().numpy().tobytes()
    (folder / "net.param").write_text(param, "utf-8")
    (folder / "net.bin").write_bytes(data)
    return folder / "net.param", folder / "net.bin"


def make_network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 3, 3), nn.PReLU(3))
    nn.init.normal_(network[1].weight)
    return network


@pytest.mark.parametrize("half", [False, True])
def test_ncnn_weights_are_read(peers: ModuleType, tmp_path: Path, half: bool) -> None:
    network = make_network(0)
    read = peers.fill(make_network(1), peers.read_ncnn(*write_ncnn(network, tmp_path, half)))
    for own, stored in zip(read.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(own, stored, rtol=0, atol=1e-3 if half and own.ndim == 4 else 0)


def test_ncnn_files_have_to_fit(peers: ModuleType, tmp_path: Path) -> None:
    param, weights = write_ncnn(make_network(0), tmp_path, half=True)
    weights.write_bytes(weights.read_bytes() + b"\0\0\0\0")
    with pytest.raises(ValueError, match="Expected 192 bytes of weights"):
        list(peers.read_ncnn(param, weights))
    weights.write_bytes(b"\1\2\3\4")
    with pytest.raises(ValueError, match="of 16 or 32 bits, got the mark"):
        list(peers.read_ncnn(param, weights))


def test_another_network_is_not_filled(peers: ModuleType, tmp_path: Path) -> None:
    param, weights = write_ncnn(make_network(0), tmp_path, half=False)
    other = nn.Sequential(nn.Conv2d(3, 3, 3, bias=False), nn.PReLU(3), nn.PReLU(3))
    with pytest.raises(ValueError, match="got a bias"):
        peers.fill(other, peers.read_ncnn(param, weights))


@pytest.mark.parametrize(("name", "count"), [("AnimeVideo", 621_424), ("X4Plus", 16_697_987), ("BasicVSR", 6_291_311)])
def test_peers_have_the_published_size(peers: ModuleType, name: str, count: int) -> None:
    with torch.device("meta"):
        network = getattr(peers, name)()
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_texts_of_the_validation_clips(text: ModuleType) -> None:
    right = text.right_text("vtest", "degraded")
    assert right == "medium blur, downsample, light noise, light image compression, medium video compression"
    assert text.opposite_text(right) == text.WORST
    assert text.right_text("bikes", "bicubic") == text.CLEAN
    assert text.opposite_text(text.CLEAN) == text.WORST
    assert text.opposite_text("heavy noise") == "light noise"


def test_every_place_on_the_dial_is_a_method(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    methods = importlib.import_module("quality_methods")
    (tmp_path / "mine.safetensors").touch()
    (tmp_path / "mine-detail.safetensors").touch()
    (tmp_path / "plain.safetensors").touch()
    weights = [tmp_path / "mine.safetensors", tmp_path / "plain.safetensors"]
    names = [method.name for method in methods.list_methods(weights, [1.0, 0.5])]
    assert {"bicubic", "mine fidelity 1", "mine fidelity 0.5", "plain"} < set(names)
    assert [name for name in names if name.startswith("textovsr-lite")]


def test_crops_show_one_moment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A result that has fewer frames decides which one is shown of all."""
    monkeypatch.syspath_prepend(str(FOLDER))
    pictures = importlib.import_module("quality_pictures")
    long = torch.arange(8, dtype=torch.uint8).view(8, 1, 1, 1).expand(8, 3, 256, 512) * 20
    pictures.save("bikes", "degraded", {"a": long, "b": long[:3]}, tmp_path)
    with Image.open(tmp_path / "bikes_degraded_crops.png") as sheet:
        inside = pictures.SIDE * pictures.ZOOM - 10
        assert sheet.getpixel((inside, inside)) == sheet.getpixel((2 * inside, inside)) == (40, 40, 40)
    with Image.open(tmp_path / "bikes_degraded_profiles.png") as sheet:
        assert sheet.height == (8 + 3) * pictures.ROWS + 2 * 16
