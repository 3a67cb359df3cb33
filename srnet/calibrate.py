"""Made ready for fewer bits, on what a network will see: photographs, drawn text and shapes.

Photographs alone leave screenshots and scans out of range: their edges are harder. Smooth fields
of strong colours are neither, and were cut to what both have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from srnet import degrade, graphics
from srnet.basis import turned
from srnet.bicubic import resize
from srnet.card import Card
from srnet.data import Pixels, find_pictures, read_rgb8
from srnet.errors import DataError
from srnet.quantise import measured
from srnet.tune import tuned
from srnet.weights import load, rounded, save

_SIDE = 192  # low-resolution pixels of a drawn picture
_FIELDS = 5  # drawn pictures to one of strong colours
_POINTS = (9, 28)  # across such a one, each of a random colour
_SEED = 0


def calibrate(weights: Path, folder: Path, drawn: int, steps: int, turns: int = 0) -> int:
    """Find the ranges on all pictures of ``folder`` and on ``drawn`` more; keep them.

    They are measured, then tuned for ``steps`` steps. Before, the network is brought into
    another basis by ``turns`` steps; these are other weights, the next version.

    Returns the number of pictures in all.

    Raises:
        DataError: no pictures, or one that cannot be read or is smaller than the scale.
        WeightsError: not a weights file.
    """
    net, card = load(weights)
    pictures = list(low_resolution(card, folder, drawn))
    if turns:
        net = turned(net, pictures, turns)
        net.load_state_dict(rounded(net.state_dict()))
        card = replace(card, version=card.version + 1, turned=card.turned + turns)
    ranges = tuned(net, measured(net, pictures), pictures, steps)
    save(weights, net, replace(card, calibrated=len(pictures)), ranges)
    return len(pictures)


def low_resolution(card: Card, folder: Path, drawn: int) -> Iterator[Pixels]:
    """Photographs and drawn pictures as the network was trained to see them."""
    rng = np.random.default_rng(_SEED)
    for file in find_pictures(folder):
        picture = read_rgb8(file)
        if min(picture.shape[:2]) < card.scale:
            raise DataError(
                f"{file} is too small to be shrunk by {card.scale}: move it out of the folder"
            )
        yield _shrunk(picture, card, rng)
    for _ in range(drawn):
        side = _SIDE * card.scale
        yield _shrunk(graphics.draw(rng, side, side), card, rng)
    for _ in range(drawn // _FIELDS):
        yield _shrunk(_field(rng, _SIDE * card.scale), card, rng)


def _field(rng: np.random.Generator, side: int) -> Pixels:
    points = int(rng.integers(*_POINTS))
    colours = rng.integers(0, 256, (points, points, 3), np.uint8)
    field: Pixels = resize(colours, side, side)
    return field


def _shrunk(high: Pixels, card: Card, rng: np.random.Generator) -> Pixels:
    s = card.scale
    high = high[: high.shape[0] // s * s, : high.shape[1] // s * s]
    if card.degradation == "photo":
        return degrade.photo(high, s, rng)
    return degrade.clean(high, s)
