"""How alike two pictures are: PSNR and SSIM on luma, and faithfulness to the input.

Luma is BT.601 with Y from 16 to 235, not rounded, as papers on super-resolution do.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from srnet.bicubic import resize
from srnet.errors import OptionError

Array = npt.NDArray[np.generic]
Luma = npt.NDArray[np.float64]
LUMA = (65.481, 128.553, 24.966)  # of red, green and blue from 0 to 1 in Y, from 16 on


def luma(rgb: Array) -> Luma:
    """Y of ``(H, W, 3)`` or ``(H, W, 1)`` integers; ``(H, W)``, 16 to 235, not rounded.

    A grey picture counts as three equal channels. 16-bit values are scaled to 0..255 first.
    """
    x = rgb.astype(np.float64) * (255.0 / np.iinfo(rgb.dtype).max)  # type: ignore[type-var]
    r, g, b = (x[..., i] for i in ((0, 1, 2) if x.shape[-1] == 3 else (0, 0, 0)))
    return np.asarray(16.0 + (LUMA[0] * r + LUMA[1] * g + LUMA[2] * b) / 255.0)


def psnr(a: Luma, b: Luma, shave: int = 0, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio in dB, without a border of ``shave`` pixels; inf if equal."""
    a, b = _shaved(a, b, shave)
    error = float(np.mean(np.square(a - b)))
    return float("inf") if error == 0 else 10 * float(np.log10(peak**2 / error))


def ssim(a: Luma, b: Luma, shave: int = 0) -> float:
    """Structural similarity as Wang et al. (2004) define it: Gaussian window, sigma 1.5.

    Raises:
        OptionError: after shaving, less than the window of 11 x 11 pixels is left.
    """
    from skimage.metrics import structural_similarity  # takes longer to import than we do

    a, b = _shaved(a, b, shave)
    if min(a.shape) < 11:
        raise OptionError(f"SSIM needs 11 x 11 pixels; {a.shape[1]} x {a.shape[0]} are left")
    similarity = structural_similarity(  # type: ignore[no-untyped-call]
        a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return float(similarity)


def _shaved(a: Luma, b: Luma, shave: int) -> tuple[Luma, Luma]:
    if a.shape != b.shape:
        raise OptionError(
            f"the pictures differ in size: {a.shape[1]} x {a.shape[0]} "
            f"and {b.shape[1]} x {b.shape[0]} pixels"
        )
    if min(a.shape[:2]) <= 2 * shave:
        raise OptionError(f"nothing is left of {a.shape[1]} x {a.shape[0]} without {shave} pixels")
    inside = slice(shave, -shave or None)
    return a[inside, inside], b[inside, inside]


def consistency(input_rgb: Array, output_rgb: Array) -> float:
    """PSNR in dB, over all channels, of the output shrunk to the input's size and the input.

    It tells how faithful an enlargement is: detail that was added honestly vanishes again.
    About 100 dB is the most that is reported, so that equal pictures give a finite number.
    """
    height, width = input_rgb.shape[:2]
    back = resize(output_rgb, height, width)
    peak = float(np.iinfo(input_rgb.dtype).max)  # type: ignore[type-var]
    total = 0.0
    for start in range(0, height, 32):  # in strips, which stay in the cache
        rows = slice(start, start + 32)
        difference = np.subtract(back[rows], input_rgb[rows], dtype=np.float32).ravel()
        total += float(np.dot(difference, difference))
    error = max(total / back.size, peak**2 / 1e10)
    return 10 * float(np.log10(peak**2 / error))
