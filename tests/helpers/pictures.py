"""Pictures of known colours as samples, and back: the formulas of ITU-T H.273, section 8.3, apart from the engine's."""

from dataclasses import dataclass

import av
import numpy as np

from .clips import numbered

BITS = 4
"""Pictures that carry a number count to 15."""

COLOURS = np.array([[0.85, 0.15, 0.1], [0.1, 0.75, 0.2], [0.15, 0.2, 0.9], [0.5, 0.5, 0.5]])

_KR_KB = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
_RGB8 = (36 / 255, 36 / 255, 85 / 255)
"""Steps of FFmpeg's palette of 3, 3 and 2 bits."""


@dataclass(frozen=True)
class Look:
    """What samples mean: H.273's codes, and FFmpeg's for the range (1 studio, 2 full); 2, 2, 2, 0 says nothing."""

    matrix: int
    primaries: int
    transfer: int
    range: int = 1

    @property
    def codes(self) -> tuple[int, int, int, int]:
        """As FFmpeg lists them."""
        return self.matrix, self.primaries, self.transfer, self.range


def picture(number: int, width: int, height: int) -> np.ndarray:
    """(H,W,3) in [0,1]: above, the number as blocks; below, patches of ``COLOURS`` (two if the picture is narrow)."""
    image = numbered(number, width, height, BITS) / 255
    count = patches(width)
    column = np.minimum(np.arange(width) * count // width, count - 1)
    image[height // 2 :] = COLOURS[column]
    return image


def patches(width: int) -> int:
    """How many patches a picture has."""
    return 4 if width >= 32 else 2


def read_patches(image: np.ndarray, count: int) -> np.ndarray:
    """(count,3): the colours in the middle of each of the patches of a (3,H,W) picture."""
    _, height, width = image.shape
    columns = [(2 * patch + 1) * width // (2 * count) for patch in range(count)]
    rows = slice(height * 5 // 8, height * 7 // 8)
    return np.stack([image[:, rows, x - 1 : x + 1].mean(axis=(1, 2)) for x in columns])


def encode_yuv(rgb: np.ndarray, matrix: int) -> np.ndarray:
    """(H,W,3) R'G'B' to Y' in [0,1] and Cb, Cr in [-0.5,0.5]."""
    kr, kb = _KR_KB[matrix]
    red, green, blue = np.moveaxis(rgb, -1, 0)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    return np.stack([luma, (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))], axis=-1)


def decode_yuv(yuv: np.ndarray, matrix: int) -> np.ndarray:
    """The way back."""
    kr, kb = _KR_KB[matrix]
    luma, cb, cr = np.moveaxis(yuv, -1, 0)
    red, blue = luma + 2 * (1 - kr) * cr, luma + 2 * (1 - kb) * cb
    return np.stack([red, (luma - kr * red - kb * blue) / (1 - kr - kb), blue], axis=-1)


def seen(rgb: np.ndarray, pix_fmt: str, matrix: int) -> np.ndarray:
    """What is left of (...,3) colours in a format: only the luma of gray, few levels of a palette."""
    if pix_fmt.startswith("gray"):
        return np.repeat(encode_yuv(rgb, matrix)[..., :1], 3, axis=-1)
    if pix_fmt == "rgb8":
        return np.clip(np.rint(rgb / _RGB8), 0, (7, 7, 3)) * _RGB8
    return rgb


def to_frame(rgb: np.ndarray, pix_fmt: str, look: Look) -> av.VideoFrame:
    """Store an (H,W,3) picture, untagged; chroma takes every second sample where it has fewer."""
    frame = av.VideoFrame(rgb.shape[1], rgb.shape[0], pix_fmt)
    for plane, values in zip(frame.planes, _planes(rgb, frame, look), strict=True):
        lines = np.frombuffer(plane, values.dtype).reshape(plane.height, -1)
        lines[:, : values.shape[1]] = values
    return frame


def _planes(rgb: np.ndarray, frame: av.VideoFrame, look: Look) -> list[np.ndarray]:
    name, bits = frame.format.name, frame.format.components[0].bits
    dtype, peak = (np.uint16, 2**bits - 1) if bits > 8 else (np.uint8, 255)
    if name == "rgb8":
        red, green, blue = np.moveaxis(np.clip(np.rint(rgb / _RGB8), 0, (7, 7, 3)).astype(np.uint8), -1, 0)
        return [red << 5 | green << 2 | blue]
    whole = np.rint(rgb * peak).astype(dtype)
    if name in ("rgb24", "bgr0"):
        packed = whole if name == "rgb24" else np.dstack([whole[..., ::-1], whole[..., :1]])
        return [packed.reshape(len(packed), -1)]
    if name.startswith("gbr"):
        return [whole[..., channel] for channel in (1, 2, 0)]
    (luma, chroma), (offset, middle) = _scales(bits, full=look.range == 2)
    yuv = encode_yuv(rgb, look.matrix) * (luma, chroma, chroma) + (offset, middle, middle)
    samples = np.clip(np.rint(yuv), 0, peak).astype(dtype)
    step_y, step_x = _steps(frame)
    alpha = np.full_like(samples[..., 0], peak)
    return [samples[..., 0], *(samples[::step_y, ::step_x, c] for c in (1, 2)), alpha][: len(frame.planes)]


def from_frame(frame: av.VideoFrame, look: Look) -> np.ndarray:
    """Read a YUV or gray frame as (3,H,W) R'G'B'; chroma is repeated where it has fewer samples."""
    bits = frame.format.components[0].bits
    (luma, chroma), (offset, middle) = _scales(bits, full=look.range == 2)
    dtype = np.uint16 if bits > 8 else np.uint8
    planes = [np.frombuffer(p, dtype).reshape(p.height, -1)[:, : p.width].astype(float) for p in frame.planes]
    steps = [(1, 1), _steps(frame), _steps(frame)]
    height, width = planes[0].shape
    planes = [p.repeat(y, 0).repeat(x, 1)[:height, :width] for p, (y, x) in zip(planes[:3], steps, strict=False)]
    planes += [np.full_like(planes[0], middle)] * (3 - len(planes))
    yuv = (np.stack(planes, axis=-1) - (offset, middle, middle)) / (luma, chroma, chroma)
    return np.moveaxis(decode_yuv(yuv, look.matrix), -1, 0)


def _scales(bits: int, *, full: bool) -> tuple[tuple[float, float], tuple[float, float]]:
    """Scale and offset of luma and chroma."""
    step = 2.0 ** (bits - 8)
    if full:
        return (2.0**bits - 1, 2.0**bits - 1), (0.0, 128 * step)
    return (219 * step, 224 * step), (16 * step, 128 * step)


def _steps(frame: av.VideoFrame) -> tuple[int, int]:
    """Rows and columns a sample of chroma stands for."""
    if len(frame.planes) < 3:
        return 1, 1
    chroma = frame.planes[1]
    return -(-frame.height // chroma.height), -(-frame.width // chroma.width)
