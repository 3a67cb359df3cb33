"""The whole command against its network: one large JPEG, and many small PNGs.

``python -m tests.bench.whole [--models photo-x2 fast-x2] [--megapixels 12] [--pictures 200]
[-- OPTIONS OF SRNET UPSCALE]``

``srnet upscale`` in processes of its own, which have compiled the network before. ``ratio`` is the
time from the first picture to the last, but for loading, by that in the network; ``process`` is of
the whole process. The stages overlap in a batch, so their seconds add up to more than the time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from tests.bench import engines, speed

SMALL = (160, 120)  # width, height of the many


def large(folder: Path, megapixels: float) -> None:
    """One JPEG of the sample, repeated."""
    PIL.Image.fromarray(speed.mosaic(megapixels)).save(folder / "large.jpg", quality=90)


def many(folder: Path, count: int) -> None:
    """Parts of the sample, each another."""
    picture, rng = speed.mosaic(1), np.random.default_rng(0)
    for number in range(count):
        y, x = (
            int(rng.integers(side - part))
            for side, part in zip(picture.shape, SMALL[::-1], strict=False)
        )
        part = picture[y : y + SMALL[1], x : x + SMALL[0]]
        PIL.Image.fromarray(part).save(folder / f"{number:04}.png")


def run(folder: Path, model: str, options: list[str]) -> dict[str, Any]:
    """One run over a folder, from its own report."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "srnet", "upscale", str(folder), "-o", out, "-m", model]
        start = time.perf_counter()
        done = subprocess.run([*command, "--json", *options], check=True, capture_output=True)
        process = time.perf_counter() - start
    report = json.loads(done.stdout)
    totals, seconds = report["totals"], report["totals"]["seconds"]
    return {
        "model": model,
        "ran": report["settings"]["ran"],
        "pictures": totals["done"],
        "output_megapixels": totals["output_megapixels"],
        "process_seconds": round(process, 3),
        "seconds": seconds,
        "ratio": round((seconds["total"] - seconds["load"]) / seconds["network"], 3),
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["photo-x2", "fast-x2"])
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--runs", type=int, default=2, help="of which the last counts")
    parser.add_argument("options", nargs="*")
    given = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory() as place:
        one, all_ = Path(place) / "one", Path(place) / "many"
        for folder in (one, all_):
            folder.mkdir()
        large(one, given.megapixels)
        many(all_, given.pictures)
        for model in given.models:
            for folder in (one, all_):
                rows.append([run(folder, model, given.options) for _ in range(given.runs)][-1])
                sys.stderr.write(f"{rows[-1]}\n")
    sys.stdout.write(json.dumps({"machine": engines.machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
