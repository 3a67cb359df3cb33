"""Bicubic against independent oracles: its definition, Pillow, MATLAB's benchmark files."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srnet import bicubic
from srnet.bicubic import cubic, phase_kernels, resize, resize_rounding_once, taps


def test_kernel_interpolates_and_is_keys() -> None:
    assert cubic(np.array([0.0, 1.0, 2.0, -1.0, 3.0])).tolist() == [1, 0, 0, 0, 0]
    assert cubic(np.array([0.5]))[0] == pytest.approx(0.5625)
    assert cubic(np.array([1.5]))[0] == pytest.approx(-0.0625)


@settings(max_examples=50)
@given(st.integers(1, 40), st.integers(1, 90), st.sampled_from(["mirror", "replicate"]))
def test_weights_sum_to_one_and_stay_inside(n: int, m: int, border: str) -> None:
    index, weight = taps(n, m, border)
    assert index.min() >= 0
    assert index.max() < n
    np.testing.assert_allclose(weight.sum(axis=1), 1)


@settings(max_examples=50)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from([(), (1,), (3,)]),
    st.sampled_from([np.uint8, np.uint16]),
)
def test_rounded_once_is_the_nearest(
    h: int, w: int, m: int, n: int, more: tuple, kind: type
) -> None:
    picture = np.random.default_rng(h * w).integers(
        0, np.iinfo(kind).max, (h, w, *more), kind, True
    )
    exact = np.clip(resize(picture.astype(np.float64), m, n), 0, np.iinfo(kind).max)
    rounded = resize_rounding_once(picture, m, n)
    assert (rounded.dtype, rounded.shape) == (kind, (m, n, *more))
    assert np.abs(rounded - exact).max() <= (0.501 if kind == np.uint8 else 0.55)


@pytest.mark.parametrize("size", [(700, 3), (40, 50), (600, 900)])
def test_strips_do_not_show(size: tuple[int, int], rng: np.random.Generator) -> None:
    picture = rng.integers(0, 256, (600, 5, 3), np.uint8)
    exact = np.clip(resize(picture.astype(np.float64), *size), 0, 255)
    assert np.abs(resize_rounding_once(picture, *size) - exact).max() <= 0.501
    twice = np.abs(resize(picture, *size) - exact).max()  # clips and rounds between two passes
    assert twice > 1 or size[0] == len(picture)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_phase_kernels_equal_resize(scale: int, rng: np.random.Generator) -> None:
    x = rng.random((7, 6))
    padded = np.pad(x, 2, mode="edge")
    out = np.empty((7 * scale, 6 * scale))
    for number, kernel in enumerate(phase_kernels(scale)):
        windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5))
        i, j = divmod(number, scale)
        out[i::scale, j::scale] = (windows * kernel).sum(axis=(2, 3))
    np.testing.assert_allclose(out, resize(x, 7 * scale, 6 * scale, "replicate"), atol=1e-12)


@pytest.mark.parametrize("size", [(40, 60), (13, 11), (31, 7)])
def test_interior_equals_pillow(size: tuple[int, int], rng: np.random.Generator) -> None:
    x = rng.random((30, 24)).astype(np.float32)
    theirs = PIL.Image.fromarray(x).resize(size[::-1], PIL.Image.Resampling.BICUBIC)
    ours = resize(x, *size)
    dy, dx = (-(-2 * a // b) + 3 for a, b in zip(size, x.shape, strict=True))
    inside = np.s_[dy:-dy, dx:-dx] if min(size) > 12 else np.s_[dy:-dy, 3:4]
    np.testing.assert_allclose(ours[inside], np.asarray(theirs)[inside], atol=2e-6)


def matlab_pass(x: np.ndarray, m: int) -> np.ndarray:
    """MATLAB's imresize along the first axis, written as its documentation says, in loops."""
    n = x.shape[0]
    scale = m / n
    kernel_width = 4 / scale
    out = np.empty((m, *x.shape[1:]), np.uint8)
    for j in range(m):
        u = (j + 1) / scale + 0.5 * (1 - 1 / scale)  # 1-based centre
        left = int(np.floor(u - kernel_width / 2))
        positions = np.arange(left, left + int(np.ceil(kernel_width)) + 2)
        weights = scale * cubic(scale * (u - positions))
        weights /= weights.sum()
        mirror = np.concatenate([np.arange(n), np.arange(n)[::-1]])
        rows = x[mirror[(positions - 1) % (2 * n)]].astype(np.float64)
        value = np.tensordot(weights, rows, 1)
        out[j] = np.clip(np.floor(value + 0.5), 0, 255).astype(np.uint8)
    return out


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_shrink_equals_matlab_bit_for_bit(scale: int, rng: np.random.Generator) -> None:
    high = rng.integers(0, 256, (12 * scale, 9 * scale, 3), dtype=np.uint8)
    rows = matlab_pass(high, 12)
    expected = matlab_pass(rows.transpose(1, 0, 2), 9).transpose(1, 0, 2)
    np.testing.assert_array_equal(resize(high, 12, 9), expected)


def test_constant_stays_constant() -> None:
    for value in (0, 1, 254, 255):
        x = np.full((9, 7, 3), value, np.uint8)
        assert (resize(x, 23, 5) == value).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_round_and_clip(dtype: type, rng: np.random.Generator) -> None:
    peak = np.iinfo(dtype).max
    smooth = rng.integers(peak // 3, peak // 2, (16, 12)).astype(dtype)
    exact = resize(smooth.astype(np.float64), 33, 25)
    assert np.abs(resize(smooth, 33, 25) - exact).max() <= 0.5 + 0.5 * 1.25  # two roundings
    harsh = resize(rng.choice([0, peak], (16, 12)).astype(dtype), 33, 25)
    assert harsh.dtype == dtype
    assert (harsh == 0).any()
    assert (harsh == peak).any()  # overshoot is clipped, not wrapped


def test_one_pixel_and_identity(rng: np.random.Generator) -> None:
    x = rng.integers(0, 256, (1, 1, 3), dtype=np.uint8)
    assert (resize(x, 5, 4) == x).all()
    y = rng.integers(0, 256, (5, 6), dtype=np.uint8)
    assert resize(y, 5, 6) is y


@pytest.mark.parametrize("target", [(64, 48), (37, 41), (200, 150), (100, 300)])
def test_steps_and_pieces_do_not_show(
    target: tuple[int, int], rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = rng.integers(0, 256, (128, 96, 3), np.uint8)
    tiny = bicubic.resize(picture, *target)
    monkeypatch.setattr(bicubic, "_TINY", 0)
    monkeypatch.setattr(bicubic, "_SMALL", 1000)
    np.testing.assert_array_equal(bicubic.resize(picture, *target), tiny)
