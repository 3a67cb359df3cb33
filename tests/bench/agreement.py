"""How far results in bfloat16 and int8 are from those in float32, in 8-bit levels.

    python -m tests.bench.agreement clean-x2 fast-x4 --set14 BENCH/Set14

On the sample and on what is worst for few bits: drawn text, colour bars, a checkerboard of single
pixels; with ``--set14`` (or any folder that ``srnet eval`` takes) on its small pictures too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

import srnet
from srnet.errors import OptionError
from srnet.evaluate import pairs
from srnet.metrics import psnr
from srnet.upscaler import Upscaler
from srnet.weights import find_one, read_card, shipped

SAMPLE = Path(__file__).parents[2] / "docs" / "sample.jpg"
_BARS = ("white", "yellow", "cyan", "lime", "magenta", "red", "blue", "black")


def drawn() -> dict[str, np.ndarray]:
    """Pictures by name, each ``(H, W, 3)`` uint8."""
    board = np.indices((64, 64)).sum(0) % 2 * np.uint8(255)
    return {
        "sample": np.asarray(PIL.Image.open(SAMPLE)),
        "black text": _text("black"),
        "red text": _text("red"),
        "colour bars": _bars(),
        "checkerboard": np.repeat(board[..., None], 3, axis=2).astype(np.uint8),
    }


def _text(colour: str) -> np.ndarray:
    picture = PIL.Image.new("RGB", (200, 160), "white")
    draw, font = PIL.ImageDraw.Draw(picture), PIL.ImageFont.load_default(13)
    for top in range(3, 150, 16):
        draw.text((3, top), "The quick brown fox jumps over 0123", fill=colour, font=font)
    return np.asarray(picture)


def _bars() -> np.ndarray:
    picture = PIL.Image.new("RGB", (160, 60))
    draw = PIL.ImageDraw.Draw(picture)
    for i, colour in enumerate(_BARS):
        draw.rectangle((20 * i, 0, 20 * i + 19, 59), fill=colour)
    return np.asarray(picture)


def differences(model: str, engine: str, folder: Path | None) -> Iterator[dict[str, object]]:
    """A row for each precision and picture, and one for all of the folder."""
    weights = find_one(model)
    exact, scale = _loaded(weights, engine, "float32"), read_card(weights).scale
    sets = {name: [picture] for name, picture in drawn().items()}
    if folder is not None:
        sets[folder.name] = [pair.low for pair in pairs(folder, scale)]
    for precision in ("bfloat16", "int8"):
        try:
            rough = _loaded(weights, engine, precision)
        except OptionError:
            continue  # PyTorch has no int8
        for name, pictures in sets.items():
            found = [(rough(p), exact(p)) for p in pictures]
            yield {"model": model, "precision": precision, "picture": name, **_measures(found)}


def _loaded(weights: Path, engine: str, precision: str) -> Upscaler:
    return srnet.load(weights, engine=engine, device="cpu", precision=precision)


def _measures(found: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, object]:
    apart = np.concatenate([np.abs(a.astype(np.int16) - b).ravel() for a, b in found])
    decibels = [psnr(a.astype(np.float64), b.astype(np.float64)) for a, b in found]
    return {
        "decibels": round(float(np.mean(decibels)), 1),
        "largest": int(apart.max()),
        "samples": apart.size,
        "over_1": int((apart > 1).sum()),
        "over_10": int((apart > 10).sum()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(shipped()))
    parser.add_argument("--engine", default="openvino", choices=["openvino", "torch"])
    parser.add_argument("--set14", type=Path)
    given = parser.parse_args()
    for model in given.models:
        for row in differences(model, given.engine, given.set14):
            print(json.dumps(row))  # noqa: T201 - it is what this is for


if __name__ == "__main__":
    main()
