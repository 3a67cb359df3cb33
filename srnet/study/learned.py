"""Question 5: what did the network learn? The residual of shipped weights on photographs.

The high-resolution photograph minus bicubic is what is missing; the residual is what the
network adds. Its share of the error is the part of the missing energy that it supplies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from srnet import degrade
from srnet.bicubic import resize
from srnet.data import Pixels, content_hash
from srnet.image import Image, encode
from srnet.metrics import luma, psnr
from srnet.options import Options
from srnet.product import load
from srnet.study.judge import middle
from srnet.study.ledger import Row
from srnet.study.trial import Bench, Budget
from srnet.upscaler import Upscaler
from srnet.weights import find, read_card

QUESTION = "learned"
STRENGTHS = (0.0, 0.5, 1.0, 1.5)
BINS = np.arange(-40.5, 41.0)  # one for each 8-bit level; the rest falls into the outer two

Levels = npt.NDArray[np.float64]
_PANEL = 176  # pixels each way of what is shown of a photograph
_GAP = 6


@dataclass(frozen=True)
class Parts:
    """One photograph: all ``(s * h, s * w, 3)`` in 8-bit levels, but ``low`` ``(h, w, 3)``."""

    high: Pixels
    low: Pixels
    bicubic: Levels  # not rounded
    residual: Levels
    view: Pixels  # the residual as a picture, as the product shows it


def check(budget: Budget, photographs: list[Path]) -> None:
    """Refuse at once what could not be looked at after all the training.

    Raises:
        DataError: a photograph that cannot be read, is too small, or is flat in its middle.
        OptionError: no shipped weights.
    """
    scale = read_card(find(budget.model)[0]).scale
    for file in photographs:
        middle(file, budget.shown, scale)


def rows(bench: Bench, photographs: list[Path]) -> list[Row]:
    """A row for each photograph, with the name and version of the weights in it."""
    model, crop = bench.budget.model, bench.budget.shown
    card = read_card(find(model)[0])
    found = []
    for file in photographs:
        key = {
            "question": QUESTION,
            "variant": file.stem,
            "photograph": content_hash([file]),
            "model": f"{card.name} version {card.version}",
            "crop": crop,
        }
        found.append(bench.ledger.row(key, partial(_measured, model, file, crop)))
    return found


def _measured(model: str, file: Path, crop: int) -> Row:
    return measure(split(_upscaler(model), file, crop))


def _upscaler(model: str) -> Upscaler:
    return load(model, device="cpu", precision="float32")


def split(upscaler: Upscaler, file: Path, crop: int) -> Parts:
    """Take the middle of a photograph apart."""
    scale = min(upscaler.engines)
    high = middle(file, crop, scale)
    low = degrade.clean(high, scale)
    added, view = upscaler.residual(Image(low), Options(scale=scale))
    plain = resize(low.astype(np.float64), high.shape[0], high.shape[1])
    return Parts(high, low, plain, added.astype(np.float64) * 255, view.rgb)


def measure(parts: Parts) -> Row:
    """How large the residual is, how much of what is missing it supplies, PSNR by strength."""
    missing = parts.high - parts.bicubic
    residual, target = parts.residual, luma(parts.high)
    shave = parts.high.shape[0] // parts.low.shape[0]
    energy = float(np.square(parts.high - parts.high.mean((0, 1))).sum())
    lacking = float(np.square(missing).sum())
    left = float(np.square(missing - residual).sum())
    counts, _ = np.histogram(np.clip(residual, -40, 40), BINS)
    return {
        "rms_residual": round(float(np.sqrt(np.square(residual).mean())), 3),  # 8-bit levels
        "rms_missing": round(float(np.sqrt(np.square(missing).mean())), 3),
        "share_of_energy": round(float(np.square(residual).sum()) / energy, 5),
        "share_of_error_removed": round(1 - left / lacking, 4),
        "best_strength": round(float((residual * missing).sum() / np.square(residual).sum()), 3),
        "below_one_level": round(float((np.abs(residual) < 1).mean()), 4),
        "psnr_by_strength": {
            str(k): round(psnr(luma(_rounded(parts.bicubic + k * residual)), target, shave), 3)
            for k in STRENGTHS
        },
        "histogram": [round(float(c), 6) for c in counts / counts.sum()],
    }


def _rounded(levels: Levels) -> Pixels:
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def pictures(bench: Bench, photographs: list[Path]) -> dict[str, bytes]:
    """Two JPEG files, by name.

    ``learned.jpg``: input, bicubic, residual, output, original, a row for each photograph;
    ``strengths.jpg``: the first photograph at each of :data:`STRENGTHS`.
    """
    upscaler = _upscaler(bench.budget.model)
    parts = [split(upscaler, file, bench.budget.shown) for file in photographs]
    return {
        "learned.jpg": _encoded([_panels(p) for p in parts]),
        "strengths.jpg": _encoded([_by_strength(parts[0])]),
    }


def _by_strength(parts: Parts) -> list[Pixels]:
    edge = min(_PANEL // 2, parts.high.shape[0])
    y, x = busiest(parts.residual, edge)
    shown = [_rounded(parts.bicubic + k * parts.residual) for k in STRENGTHS]
    return [p[y : y + edge, x : x + edge].repeat(2, 0).repeat(2, 1) for p in shown]


def _panels(parts: Parts) -> list[Pixels]:
    scale = parts.high.shape[0] // parts.low.shape[0]
    squares = parts.low.repeat(scale, 0).repeat(scale, 1)
    output = _rounded(parts.bicubic + parts.residual)
    edge = min(_PANEL, parts.high.shape[0])
    y, x = busiest(parts.residual, edge)
    shown = (squares, _rounded(parts.bicubic), parts.view, output, parts.high)
    return [p[y : y + edge, x : x + edge] for p in shown]


def busiest(residual: Levels, edge: int) -> tuple[int, int]:
    """The corner of the ``edge x edge`` window, on a coarse grid, where most was added."""
    step = 16
    energy = np.square(residual).sum(axis=2)
    height, width = energy.shape
    corners = [
        (y, x)
        for y in range(0, max(1, height - edge + 1), step)
        for x in range(0, max(1, width - edge + 1), step)
    ]
    return max(corners, key=lambda c: energy[c[0] : c[0] + edge, c[1] : c[1] + edge].sum())


def _encoded(lines: list[list[Pixels]]) -> bytes:
    """Panels in rows, white between them, as JPEG."""
    height, width = lines[0][0].shape[:2]
    canvas = np.full(
        (len(lines) * (height + _GAP) - _GAP, len(lines[0]) * (width + _GAP) - _GAP, 3),
        255,
        np.uint8,
    )
    for row, line in enumerate(lines):
        for column, panel in enumerate(line):
            y, x = row * (height + _GAP), column * (width + _GAP)
            canvas[y : y + height, x : x + width] = panel
    return encode([Image(canvas)], "jpeg", quality=88)
