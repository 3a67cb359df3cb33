"""The study of the residual connection: every question in order, then JSON and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from srnet.data import content_hash, find_pictures, read_rgb8
from srnet.device import best_device, provenance
from srnet.image import write_atomic
from srnet.patches import Patches
from srnet.report import versions
from srnet.study import base, depth, dimensions, learned, precision, shallow, toy
from srnet.study.figures import figures
from srnet.study.judge import SCALE, Judge
from srnet.study.ledger import Ledger, Row
from srnet.study.tables import tables
from srnet.study.trial import FULL, QUICK, Bench, Budget
from srnet.weights import find

_PICTURES = 160  # evenly from the folder: more than so few patches can use
_CROP = 96  # pixels each way of a held-out picture


def study(
    photographs: Path,
    held_out: Path,
    output: Path,
    *,
    shown: list[Path],
    work: Path,
    quick: bool = False,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, str]:
    """Answer every question; returns the tables of the page, in Markdown, by question.

    Writes ``residual.json`` (all rows) and the pictures into ``output``. Finished rows are
    kept in ``work``, so the same call goes on where it was cut off; with other pictures it begins
    anew. ``shown`` are the photographs that question 5 looks at.

    Raises:
        DataError: a folder without pictures, or pictures that are too small or flat; before any
            training.
        OptionError: no shipped weights.
    """
    budget = QUICK if quick else FULL
    find(precision.SHIPPED)
    learned.check(budget, shown)
    bench = _bench(budget, photographs, held_out, Ledger(work / "rows.jsonl", report))
    for question in (toy, base, shallow, depth, dimensions, precision):
        question.rows(bench)
    learned.rows(bench, shown)
    output.mkdir(parents=True, exist_ok=True)
    for name, picture in learned.pictures(bench, shown).items():
        write_atomic(output / name, picture)
    for name, svg in figures(bench.ledger.rows).items():
        write_atomic(output / name, svg.encode())
    write_atomic(output / "residual.json", _as_json(bench.ledger.rows, quick).encode())
    return tables(bench.ledger.rows)


def _bench(budget: Budget, photographs: Path, held_out: Path, ledger: Ledger) -> Bench:
    every = find_pictures(photographs)
    files = every[:: max(1, len(every) // _PICTURES)]
    pictures = [read_rgb8(file) for file in files]
    patches = Patches(pictures, SCALE, budget.patch, budget.batch, "clean", seed=0)
    return Bench(budget, patches, content_hash(files), Judge(held_out, _CROP), ledger)


def _as_json(rows: list[Row], quick: bool) -> str:
    """What was measured where, and a line for each row."""
    commit, hardware = provenance(best_device("cpu"))
    about = {"quick": quick, "commit": commit, "hardware": hardware, "versions": versions()}
    lines = ",\n".join(json.dumps(row) for row in rows)
    return f'{json.dumps(about)[:-1]}, "rows": [\n{lines}\n]}}\n'
