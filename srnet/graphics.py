"""Drawn pictures: text, lines and flat shapes, of which photographs have few.

For training beside photographs, and to see the range of values that screenshots and scans
bring. Nothing is read from disk but the font inside Pillow (Aileron, released under CC0).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

_OVER = 2  # drawn at twice the size: edges between pixels become soft, as renderers make them
_LETTERS = "eeeeeetttttaaaaooooiiiinnnnsssshhhrrrdddlluuccmmffyywwggppbbvvkxqjz"
_OTHERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;-!?()/+=%&@#"
_SIZES = (12, 60)  # pixels of the result; smaller letters cannot be read once shrunk


def draw(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """One picture, ``(height, width, 3)`` uint8: the same for the same state of ``rng``."""
    size = (width * _OVER, height * _OVER)
    paper, ink = _two_colours(rng)
    picture = Image.new("RGB", size, paper)
    kinds: list[Callable[..., None]] = [_page, _page, _shapes, _rules]
    for _ in range(int(rng.integers(1, 3))):
        kinds[int(rng.integers(len(kinds)))](picture, rng, ink)
    return np.asarray(picture.reduce(_OVER), np.uint8)


def _two_colours(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Of the ground and of what is on it; black on white first of all."""
    white, black = (255, 255, 255), (0, 0, 0)
    pair = [(white, black), (black, white), (white, _colour(rng)), (_colour(rng), _colour(rng))]
    return pair[int(rng.choice(4, p=[0.45, 0.1, 0.2, 0.25]))]


def _colour(rng: np.random.Generator) -> Colour:
    """Any, but often with channels full on or off, as designers like them."""
    values = np.where(rng.random(3) < 0.4, rng.choice([0, 255], 3), rng.integers(0, 256, 3))
    return int(values[0]), int(values[1]), int(values[2])


def _page(picture: Image.Image, rng: np.random.Generator, ink: Colour) -> None:
    """Lines of text, level or turned."""
    size = int(math.exp(rng.uniform(math.log(_SIZES[0]), math.log(_SIZES[1]))) * _OVER)
    layer = Image.new("L", picture.size)
    pen = ImageDraw.Draw(layer)
    stroke = int(rng.integers(1, 1 + max(1, size // 14))) if rng.random() < 0.25 else 0
    y = -float(rng.uniform(0, size))
    while y < picture.height:
        x = -float(rng.uniform(0, 4 * size))
        text = _words(rng, 2 + 3 * picture.width // size)
        pen.text((x, y), text, fill=255, font=_font(size), stroke_width=stroke)
        y += size * float(rng.uniform(1.0, 1.6))
    if rng.random() < 0.2:
        layer = layer.rotate(float(rng.uniform(-20, 20)), Image.Resampling.BICUBIC)
    elif rng.random() < 0.2:  # slanted
        slope = float(rng.uniform(0.1, 0.3))
        layer = layer.transform(
            layer.size, Image.Transform.AFFINE, (1, slope, 0, 0, 1, 0), Image.Resampling.BICUBIC
        )
    picture.paste(ink, mask=layer)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _words(rng: np.random.Generator, letters: int) -> str:
    text = ""
    while len(text) < letters:
        pool = _LETTERS if rng.random() < 0.75 else _LETTERS.upper() + _OTHERS
        text += "".join(rng.choice(list(pool), int(rng.integers(1, 10)))) + " "
    return text


def _shapes(picture: Image.Image, rng: np.random.Generator, ink: Colour) -> None:
    """Flat rectangles, ellipses and polygons, filled or not."""
    pen = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(2, 9))):
        fill = _colour(rng) if rng.random() < 0.7 else None
        edge = int(rng.integers(1, 5)) * _OVER
        points = _points(rng, picture.size, 4)
        box = _box(points[0], points[1], least=4 * edge + 8)
        kind = int(rng.integers(4))
        if kind == 0:
            pen.rectangle(box, fill, ink, edge)
        elif kind == 1:
            pen.ellipse(box, fill, ink, edge)
        elif kind == 2:
            radius = min(box[2] - box[0], box[3] - box[1]) * float(rng.uniform(0.05, 0.35))
            pen.rounded_rectangle(box, radius, fill, ink, edge)
        else:
            pen.polygon(points, fill, ink, edge)


def _rules(picture: Image.Image, rng: np.random.Generator, ink: Colour) -> None:
    """Lines of even width: a grid, or strokes in all directions."""
    pen = ImageDraw.Draw(picture)
    edge = int(rng.integers(1, 5) * _OVER // 2)
    if rng.random() < 0.5:
        step = int(rng.integers(4, 33)) * _OVER
        for x in range(int(rng.integers(step)), picture.width, step):
            pen.line((x, 0, x, picture.height), ink, edge)
        for y in range(int(rng.integers(step)), picture.height, step):
            pen.line((0, y, picture.width, y), ink, edge)
        return
    for _ in range(int(rng.integers(2, 12))):
        pen.line(_points(rng, picture.size, 2), ink, edge)


def _box(a: tuple[float, float], b: tuple[float, float], least: float) -> list[float]:
    """Left, top, right, bottom of the rectangle between two corners, no side below ``least``."""
    left, top = min(a[0], b[0]), min(a[1], b[1])
    return [left, top, left + max(least, abs(a[0] - b[0])), top + max(least, abs(a[1] - b[1]))]


def _points(
    rng: np.random.Generator, size: tuple[int, int], count: int
) -> list[tuple[float, float]]:
    """Places in the picture and a little outside of it."""
    spread = rng.uniform(-0.2, 1.2, (count, 2)) * size
    return [(float(x), float(y)) for x, y in spread]
