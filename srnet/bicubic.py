"""The one definition of bicubic interpolation in this project: Keys' kernel with a = -0.5.

Keys, "Cubic convolution interpolation for digital image processing", IEEE Trans. ASSP
29(6), 1981. When a picture shrinks, the kernel is stretched by the factor (antialiasing),
which is what MATLAB's ``imresize`` does and what the super-resolution benchmarks use.

Coordinates: pixel ``i`` covers ``[i, i + 1)``, so output pixel ``j`` of a resize from
``n`` to ``m`` has its centre at ``(j + 0.5) * n / m - 0.5`` in input pixels.
"""

from __future__ import annotations

from math import prod
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Border = Literal["mirror", "replicate"]

PHASE_REACH = 2  # input pixels each way that an enlarged pixel depends on
_BLOCK = 8  # output lines computed by one matrix product; larger wastes more zeros
_STRIP = 256  # input rows, or so, that are held as float
_TINY = 100_000  # samples of a picture
_SMALL = 200_000  # multiplications in one product: from 262,144 on OpenBLAS wakes threads, which
# costs more than it brings here, and far more where another process wants the processor


def cubic(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keys' kernel with a = -0.5 at ``x`` (any shape); zero outside [-2, 2]."""
    a = -0.5
    d = np.abs(x)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def taps(n: int, m: int, border: Border) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Which of ``n`` input samples make each of ``m`` output samples, and by how much.

    Returns indices into the input and weights that sum to 1, both ``(m, k)``.
    """
    stretch = max(n / m, 1.0)
    centre = (np.arange(m) + 0.5) * (n / m) - 0.5
    reach = 2 * stretch
    first = np.floor(centre - reach).astype(np.int64) + 1
    count = int(np.ceil(2 * reach)) + 1
    index = first[:, None] + np.arange(count)  # (m, k)
    weight = cubic((centre[:, None] - index) / stretch)
    weight /= weight.sum(axis=1, keepdims=True)
    used = np.any(weight != 0, axis=0)
    return _inside(index[:, used], n, border), weight[:, used]


def _inside(index: npt.NDArray[np.int64], n: int, border: Border) -> npt.NDArray[np.int64]:
    if border == "replicate":
        return np.clip(index, 0, n - 1)
    folded = np.mod(index, 2 * n)  # ... 1 0 | 0 1 ... n-1 | n-1 n-2 ...
    return np.where(folded < n, folded, 2 * n - 1 - folded)


def phase_kernels(scale: int) -> npt.NDArray[np.float64]:
    """Bicubic enlargement by an integer as ``scale**2`` fixed kernels.

    Returns ``(scale**2, 5, 5)``: kernel ``scale * i + j`` gives the output pixel in row
    ``i`` and column ``j`` of the ``scale x scale`` pixels that replace an input pixel, in
    the order of pixel-shuffle, as a correlation centred on that input pixel.
    """
    line = enlarging_line(scale)
    kernels = line[:, None, :, None] * line[None, :, None, :]  # (s, s, 5, 5)
    return kernels.reshape(scale * scale, *kernels.shape[2:])


def enlarging_line(scale: int) -> npt.NDArray[np.float64]:
    """Enlargement by an integer in one dimension: weights of 5 pixels for each phase, (s, 5)."""
    size = 2 * PHASE_REACH + 1
    line = np.zeros((scale, size))
    index, weight = taps(size, size * scale, "replicate")
    for phase in range(scale):  # the phases of the middle input pixel
        row = PHASE_REACH * scale + phase
        np.add.at(line[phase], index[row], weight[row])
    return line


def shrinking_line(scale: int) -> npt.NDArray[np.float64]:
    """Antialiased shrinking by an integer in one dimension: weights (s, 5) of each phase.

    Of the phases of the small pixel itself and of two on either side.
    """
    size = 2 * PHASE_REACH + 1
    line = np.zeros(size * scale)
    index, weight = taps(size * scale, size, "replicate")
    np.add.at(line, index[PHASE_REACH], weight[PHASE_REACH])
    return line.reshape(size, scale).T


def resize(picture: Array, height: int, width: int, border: Border = "mirror") -> Array:
    """Bicubic resize of ``(H, W)`` or ``(H, W, C)`` to ``height x width``, antialiased.

    Integer pictures are rounded half up and clipped after each of the two passes, the one
    that shrinks more first (rows first in a tie). That equals MATLAB's ``imresize`` bit for
    bit on 8-bit pictures. Floating pictures keep their dtype and are neither rounded nor
    clipped.
    """
    passes = [(height / picture.shape[0], 0, height), (width / picture.shape[1], 1, width)]
    for _, axis, length in sorted(passes):
        picture = _resize_axis(picture, axis, length, border)
    return picture


def resize_rounding_once(picture: Array, height: int, width: int) -> Array:
    """As :func:`resize`, but an integer picture is rounded at the end only.

    So a transposed picture gives the transposed result, within one level. Rows are resized in
    strips: no more than one of them is there as float.
    """
    if not np.issubdtype(picture.dtype, np.integer):
        return resize(picture, height, width)
    out = np.empty((height, width, *picture.shape[2:]), picture.dtype)
    index, weight = taps(picture.shape[0], height, "mirror")
    step = max(_BLOCK, _STRIP * height // picture.shape[0])
    for start in range(0, height, step):
        rows = slice(start, min(start + step, height))
        low, high = int(np.min(index[rows])), int(np.max(index[rows])) + 1
        strip = _resize_axis(picture[low:high].astype(np.float32), 1, width, "mirror")
        for first in range(rows.start, rows.stop, _BLOCK):
            block = slice(first, min(first + _BLOCK, rows.stop))
            top, bottom = int(np.min(index[block])), int(np.max(index[block])) + 1
            matrix = _matrix(index[block] - top, weight[block], bottom - top).astype(np.float32)
            part = strip[top - low : bottom - low].reshape(bottom - top, -1)
            out[block] = _as_dtype(_product(matrix, part), out.dtype).reshape(-1, *out.shape[1:])
    return out


def _resize_axis(picture: Array, axis: int, length: int, border: Border) -> Array:
    n = picture.shape[axis]
    if length == n:
        return picture
    index, weight = taps(n, length, border)
    shape = list(picture.shape)
    shape[axis] = length
    out = np.empty(shape, picture.dtype)
    kind = _arithmetic(picture.dtype, weight)
    channels = prod(shape[2:])
    step = _BLOCK if picture.size > _TINY else 4 * _BLOCK  # fewer steps there than zeros saved
    for start in range(0, length, step):
        rows = slice(start, min(start + step, length))
        low, high = int(np.min(index[rows])), int(np.max(index[rows])) + 1
        matrix = _matrix(index[rows] - low, weight[rows], high - low).astype(kind)
        if axis == 0:
            part = picture[low:high].astype(kind).reshape(high - low, -1)
            block = _product(matrix, part)
            out[rows] = _as_dtype(block, picture.dtype).reshape(-1, *shape[1:])
        else:  # a matrix for pixels of all channels: no sample has to move
            wide = np.zeros((high - low, channels, len(matrix), channels), kind)
            for channel in range(channels):
                wide[:, channel, :, channel] = matrix.T
            part = picture[:, low:high].astype(kind).reshape(shape[0], -1)
            block = _product(part, wide.reshape(part.shape[1], -1))
            out[:, rows] = _as_dtype(block, picture.dtype).reshape(shape[0], -1, *shape[2:])
    return out


def _matrix(
    index: npt.NDArray[np.int64], weight: npt.NDArray[np.float64], width: int
) -> npt.NDArray[np.float64]:
    """Taps of ``m`` samples as ``(m, width)``; those of one place are added."""
    place = index + width * np.arange(len(index))[:, None]
    flat: Array = np.bincount(place.ravel(), weight.ravel(), width * len(index))
    return flat.reshape(len(index), width)


def _product(a: Array, b: Array) -> Array:
    """Matrix product of two that are long in one direction only, in pieces along it."""
    out = np.empty((len(a), b.shape[1]), a.dtype)
    if len(a) > b.shape[1]:
        step = max(1, _SMALL // b.size)
        for start in range(0, len(a), step):
            np.matmul(a[start : start + step], b, out=out[start : start + step])
        return out
    step = max(1, _SMALL // a.size)
    for start in range(0, b.shape[1], step):
        np.matmul(a, b[:, start : start + step], out=out[:, start : start + step])
    return out


def _arithmetic(dtype: np.dtype[Any], weight: npt.NDArray[np.float64]) -> type[np.floating[Any]]:
    """What sums are made in: exact for 8 bits, float32 for the rest but float64.

    Weights that are whole 4096ths, as those of an enlargement or shrinking by 2 or 4 are, make sums
    of 8-bit samples that float32 holds exactly.
    """
    if dtype == np.uint8:
        short = bool(np.all(weight * 4096 % 1 == 0))
        return np.float32 if short else np.float64
    return np.float64 if dtype == np.float64 else np.float32


def _as_dtype(block: npt.NDArray[np.floating], dtype: np.dtype[Any]) -> Array:
    """Rounded half up and clipped, in place, if ``dtype`` is of integers."""
    if np.issubdtype(dtype, np.integer):
        block += 0.5
        return np.clip(block, 0, np.iinfo(dtype).max, out=block).astype(dtype)
    return block.astype(dtype, copy=False)
