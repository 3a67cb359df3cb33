"""Ranges for int8, found on what a network will see: photographs, and drawn text and shapes.

Photographs alone leave screenshots and scans out of range: their edges are harder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from srnet import degrade, graphics
from srnet.card import Card
from srnet.data import Pixels, find_pictures, read_rgb8
from srnet.quantise import measured
from srnet.tune import tuned
from srnet.weights import keep_ranges, load

_SIDE = 192  # low-resolution pixels of a drawn picture
_SEED = 0


def calibrate(weights: Path, folder: Path, drawn: int, steps: int) -> int:
    """Find the ranges on all pictures of ``folder`` and on ``drawn`` more; keep them.

    They are measured, then tuned for ``steps`` steps.

    Returns the number of pictures in all.

    Raises:
        DataError: no pictures, or one that cannot be read.
        WeightsError: not a weights file.
    """
    net, card = load(weights)
    pictures = list(low_resolution(card, folder, drawn))
    ranges = tuned(net, measured(net, pictures), pictures, steps)
    keep_ranges(weights, ranges, len(pictures))
    return len(pictures)


def low_resolution(card: Card, folder: Path, drawn: int) -> Iterator[Pixels]:
    """Photographs and drawn pictures as the network was trained to see them."""
    rng = np.random.default_rng(_SEED)
    for file in find_pictures(folder):
        yield _shrunk(read_rgb8(file), card, rng)
    for _ in range(drawn):
        side = _SIDE * card.scale
        yield _shrunk(graphics.draw(rng, side, side), card, rng)


def _shrunk(high: Pixels, card: Card, rng: np.random.Generator) -> Pixels:
    s = card.scale
    high = high[: high.shape[0] // s * s, : high.shape[1] // s * s]
    if card.degradation == "photo":
        return degrade.photo(high, s, rng)
    return degrade.clean(high, s)
