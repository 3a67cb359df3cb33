"""From high resolution to low: how the pictures that people have came about.

``clean`` is the benchmark's antialiased bicubic and nothing else. ``photo`` is what happens
to a photograph on its way through cameras, editors and web sites: a little blur, some
resampling kernel, noise, JPEG; and sometimes nothing.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from srnet.bicubic import resize

Pixels = npt.NDArray[np.uint8]

JPEG_GRID = 16  # pixels; a JPEG with 4:2:0 chroma repeats its blocks with this period


def clean(high: Pixels, scale: int) -> Pixels:
    """Shrink ``(s * h, s * w, C)`` to ``(h, w, C)`` as MATLAB's ``imresize`` does."""
    low = resize(high, high.shape[0] // scale, high.shape[1] // scale)
    return low.astype(np.uint8, copy=False)


def photo(high: Pixels, scale: int, rng: np.random.Generator) -> Pixels:
    """Shrink ``(s * h, s * w, 3)`` to ``(h, w, 3)`` with random blur, kernel, noise, JPEG.

    One picture in four gets the clean shrink and nothing else, so that the network also
    learns to leave good input alone.
    """
    if rng.random() < 1 / 4:
        return clean(high, scale)
    low = _shrink(_blur(high, scale, rng), scale, rng)
    low = _noise(low, rng)
    if rng.random() < 0.85:
        low = jpeg(low, int(rng.integers(30, 96)), chroma_half=rng.random() < 0.8)
    return low


def jpeg(picture: Pixels, quality: int, chroma_half: bool = True) -> Pixels:
    """Through JPEG and back; ``(h, w, 3)`` RGB; ``chroma_half`` is 4:2:0, else 4:4:4."""
    sampling = (
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
        if chroma_half
        else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    )
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    _, data = cv2.imencode(".jpg", picture[..., ::-1], flags)
    decoded: Any = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(decoded[..., ::-1])


def _blur(high: Pixels, scale: int, rng: np.random.Generator) -> Pixels:
    if rng.random() < 0.5:
        return high
    sigma = scale * rng.uniform(0.1, 0.5, 2)  # high-resolution pixels, each axis its own
    return _gaussian(high, float(sigma[0]), float(sigma[1]))


def _gaussian(picture: Pixels, sigma_x: float, sigma_y: float) -> Pixels:
    blurred: Any = cv2.GaussianBlur(picture, (0, 0), sigmaX=sigma_x, sigmaY=sigma_y)
    return np.asarray(blurred, np.uint8)


def _shrink(high: Pixels, scale: int, rng: np.random.Generator) -> Pixels:
    height, width = high.shape[0] // scale, high.shape[1] // scale
    kind = rng.choice(["bicubic", "area", "linear"], p=[0.6, 0.25, 0.15])
    if kind == "bicubic":
        return clean(high, scale)
    flag = cv2.INTER_AREA if kind == "area" else cv2.INTER_LINEAR
    if kind == "linear":  # many editors filter too little; half of full antialiasing
        high = _gaussian(high, 0.3 * scale, 0.3 * scale)
    return np.asarray(cv2.resize(high, (width, height), interpolation=flag), np.uint8)


def _noise(low: Pixels, rng: np.random.Generator) -> Pixels:
    if rng.random() < 0.5:
        return low
    sigma = rng.uniform(0.5, 6.0)  # 8-bit levels
    grey = rng.random() < 0.4
    shape = (*low.shape[:2], 1 if grey else low.shape[2])
    noise = rng.normal(0.0, sigma, shape)
    return np.clip(np.rint(low + noise), 0, 255).astype(np.uint8)
