"""Time and memory against the size of the picture, threads and tiles in a batch: any cliffs?

``python -m tests.bench.scaling [--model fast-x2] [--megapixels 0.1 1.6 25 200] [--threads 1 2]
[--batch 1 8] [--json scaling.json]``

Each figure is a fresh process that calls ``srnet.upscale`` on a JPEG file of a photograph, repeated
to the size, and writes another: seconds of the wall from start to end, peak resident memory. The
network was compiled before. Straight lines are fitted with errors relative to the figures, so that
small pictures count as much as large ones; the largest deviation tells of a cliff.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from srnet.options import Options
from srnet.study.tables import table
from srnet.weights import find, read_card
from tests.bench import engines, speed
from tests.bench.process import Usage, measured

Row = dict[str, Any]
CODE = "import json, sys, srnet; srnet.upscale(**json.loads(sys.argv[1]), overwrite=True)"


def line(x: Sequence[float], y: Sequence[float]) -> Row:
    """The straight line through some points: slope, constant, largest deviation in percent of y."""
    slope, constant = np.polyfit(x, y, 1, w=1 / np.asarray(y))
    deviations = (np.asarray(y) / (slope * np.asarray(x) + constant) - 1) * 100
    worst = int(np.abs(deviations).argmax())
    return {
        "per_megapixel": float(f"{slope:.4g}"),
        "constant": float(f"{constant:.4g}"),
        "largest_deviation_percent": round(float(deviations[worst]), 1),
        "at_megapixels": x[worst],
    }


def enlarge(source: Path, options: dict[str, Any], threads: int, batch: int) -> Usage:
    """One picture in one process."""
    told = {"source": str(source), "target": str(source.with_name("out.jpg")), **options}
    told["batch_pixels"] = batch * options["tile"] ** 2
    env = {"OMP_NUM_THREADS": str(threads)}
    return measured([sys.executable, "-c", CODE, json.dumps(told)], env)


def scaling(
    options: dict[str, Any],
    megapixels: list[float],
    threads: list[int],
    batches: list[int],
    runs: int,
) -> list[Row]:
    """A row for each size, number of threads and tiles in a batch, which are run in turn.

    ``megapixels`` are of output; of the runs, the shortest and the largest memory count.
    """
    factor = min(read_card(file).scale for file in find(options["model"])) ** 2
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.jpg"
        for number, size in enumerate(megapixels):
            picture = speed.mosaic(size / factor)
            PIL.Image.fromarray(picture).save(source, quality=90)
            output = picture[..., 0].size * factor / 1e6
            tasks = {
                (count, batch): partial(enlarge, source, options, count, batch)
                for count, batch in product(threads, batches)
            }
            if not number:
                next(iter(tasks.values()))()  # which compiles
            for kind, usages in speed.in_turn(runs, tasks).items():
                rows.append(row(output, *kind, usages))
                sys.stderr.write(f"{rows[-1]}\n")
    return rows


def row(megapixels: float, threads: int, batch: int, usages: list[Usage]) -> Row:
    """The figures of some runs."""
    return {
        "threads": threads,
        "batch": batch,
        "megapixels": round(megapixels, 3),
        "seconds": round(min(usage.seconds for usage in usages), 3),
        "peak_mb": round(max(usage.peak for usage in usages) / 1e6),
    }


def lines(rows: list[Row]) -> list[Row]:
    """The straight lines of time and memory, for each number of threads and tiles."""
    kinds = sorted({(r["threads"], r["batch"]) for r in rows})
    found = []
    for threads, batch in kinds:
        points = [r for r in rows if (r["threads"], r["batch"]) == (threads, batch)]
        x = [r["megapixels"] for r in points]
        fits = {name: line(x, [r[name] for r in points]) for name in ("seconds", "peak_mb")}
        found.append({"threads": threads, "batch": batch, **fits})
    return found


def shown(rows: list[Row], fits: list[Row]) -> str:
    """Two tables: a row for each size, and one for each line."""
    kinds = [(fit["threads"], fit["batch"]) for fit in fits]
    cells = {
        (r["megapixels"], (r["threads"], r["batch"])): f"{r['seconds']:.3g} s, {r['peak_mb']} MB"
        for r in rows
    }
    sizes = sorted({r["megapixels"] for r in rows})
    body = [[f"{x:g}", *(cells[x, kind] for kind in kinds)] for x in sizes]
    names = [f"threads {threads}, batch {batch}" for threads, batch in kinds]
    head = ["line", "per MP", "constant", "largest deviation"]
    told = [
        [
            f"{name}: {unit}",
            f"{fit[key]['per_megapixel']:g}",
            f"{fit[key]['constant']:g}",
            f"{fit[key]['largest_deviation_percent']:+} % at {fit[key]['at_megapixels']:g} MP",
        ]
        for name, fit in zip(names, fits, strict=True)
        for key, unit in (("seconds", "s"), ("peak_mb", "MB"))
    ]
    return table(["output / MP", *names], body) + "\n\n" + table(head, told)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print the tables, write the file asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="fast-x2", help="at its smallest scale")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--precision", default="auto")
    sizes = [0.1, 0.4, 1.6, 6.4, 25, 50, 100, 200]
    parser.add_argument("--megapixels", type=float, nargs="+", default=sizes, help="of output")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--batch", type=int, nargs="+", default=[1], help="tiles at once")
    parser.add_argument("--tile", type=int, default=Options.tile, help="input pixels each way")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    if len(set(given.megapixels)) < 2:
        parser.error("a line needs at least two sizes")
    options = {name: getattr(given, name) for name in ("model", "engine", "precision", "tile")}
    rows = scaling(options, given.megapixels, given.threads, given.batch, given.runs)
    fits = lines(rows)
    sys.stdout.write(shown(rows, fits) + "\n")
    if given.json:
        machine = {**speed.machine(), **engines.machine()}
        report = {"machine": machine, **options, "runs": given.runs, "rows": rows, "lines": fits}
        given.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
