"""From the rows of a study to its charts: file names and SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

from srnet.study.chart import Axis, Line, chart
from srnet.study.learned import BINS
from srnet.study.ledger import Row
from srnet.study.shallow import KINDS
from srnet.study.toy import target_at

BASES = {"bicubic": "bicubic base", "nearest": "nearest base", "none": "no base"}

Point = tuple[float, float, float, float]


def figures(rows: list[Row]) -> dict[str, str]:
    """Every chart of the page by file name."""
    return {
        "toy-fit.svg": _toy_fit(rows),
        "toy-error.svg": _toy_error(rows),
        "base.svg": _base(rows),
        "size.svg": _size(rows),
        "time.svg": _time(rows),
        "depth-psnr.svg": _depth(rows, "psnr", "PSNR on held-out pictures / dB"),
        "depth-loss.svg": _depth(rows, "loss", "training loss / 8-bit levels"),
        "dimensions.svg": _dimensions(rows),
        "histogram.svg": _histogram(rows),
    }


def variants(rows: list[Row], question: str) -> dict[str, list[Row]]:
    """The rows of a question by variant, in the order in which they were made."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row["question"] == question:
            found.setdefault(row["variant"], []).append(row)
    return found


def summary(values: Iterable[float]) -> tuple[float, float, float]:
    """Mean, least, greatest."""
    listed = list(values)
    return sum(listed) / len(listed), min(listed), max(listed)


def curve(rows: list[Row], x: str, y: str, first: int = 1) -> list[Point]:
    """The curves of several seeds as one, with their spread."""
    together = zip(*(row["curve"][first:] for row in rows), strict=True)
    return [(summary(p[x] for p in ps)[0], *summary(p[y] for p in ps)) for ps in together]


def crossing(ahead: list[Point], behind: list[Point]) -> float | None:
    """From where on the second curve stays above the first; None if it ends below it."""
    last = min(ahead[-1][0], behind[-1][0])
    xs = np.linspace(max(ahead[0][0], behind[0][0]), last, 400)
    first, second = (np.interp(xs, [p[0] for p in c], [p[1] for p in c]) for c in (ahead, behind))
    below = np.flatnonzero(second < first)
    if not len(below):
        return float(xs[0])
    return None if below[-1] == len(xs) - 1 else float(xs[below[-1] + 1])


def _exact(x: float, y: float) -> Point:
    return x, y, y, y


def _toy_fit(rows: list[Row]) -> str:
    given, without = variants(rows, "toy").values()
    xs = [2 * i / (len(given[0]["fit"]) - 1) - 1 for i in range(len(given[0]["fit"]))]
    lines = []
    for name, group in (("with the line given", given), ("without", without)):
        lines.append(Line(name, [_exact(x, y) for x, y in zip(xs, group[0]["fit"], strict=True)]))
    wanted = [_exact(x, target_at(x)) for x in xs]
    lines.append(Line("what is to be fitted", wanted, dashed=True))
    title = f"After {given[0]['steps']} steps, seed {given[0]['seed']}"
    return chart(title, Axis("x"), Axis("y"), lines)


def _toy_error(rows: list[Row]) -> str:
    given, without = variants(rows, "toy").values()
    lines = [
        Line(name, curve(group, "step", "error", 0))
        for name, group in (("with the line given", given), ("without", without))
    ]
    title = f"Error while it learns, mean and spread of {len(given)} seeds"
    return chart(title, Axis("step"), Axis("root mean square error", log=True), lines)


def _base(rows: list[Row]) -> str:
    groups = variants(rows, "base")
    lines = [Line(BASES[name], curve(g, "iteration", "psnr")) for name, g in groups.items()]
    top = max(p[3] for line in lines for p in line.points)
    return chart(
        "The same network on three bases (band: both seeds)",
        Axis("iterations", low=0),
        Axis("PSNR on held-out pictures / dB", low=top - 4),
        lines,
    )


def by_kind(rows: list[Row]) -> dict[str, list[list[Row]]]:
    """Question 2: the groups of each kind, from small to large."""
    groups = variants(rows, "shallow")
    return {
        kind: [group for name, group in groups.items() if name.startswith(kind)] for kind in KINDS
    }


def _size(rows: list[Row]) -> str:
    lines = [
        Line(kind, [(g[0]["parameters"], *summary(r["psnr"] for r in g)) for g in groups])
        for kind, groups in by_kind(rows).items()
    ]
    return chart(
        "Equal parameters, equal iterations",
        Axis("parameters", log=True),
        Axis("PSNR on held-out pictures / dB"),
        lines,
    )


def _time(rows: list[Row]) -> str:
    lines = []
    for kind, groups in by_kind(rows).items():
        name = f"{kind}, {groups[-1][0]['parameters']} parameters"
        lines.append(Line(name, curve(groups[-1], "seconds", "psnr")))
    return chart(
        "The largest of each kind against training time",
        Axis("seconds of one processor core", low=0),
        Axis("PSNR on held-out pictures / dB"),
        lines,
    )


def _depth(rows: list[Row], field: str, label: str) -> str:
    levels: Callable[[float], float] = (lambda v: v * 255) if field == "loss" else float
    lines: dict[str, list[Point]] = {}
    for name, group in variants(rows, "depth").items():
        kind, depth = name.split()
        values = summary(levels(row[field]) for row in group)
        lines.setdefault(kind, []).append((float(depth), *values))
    depths = [point[0] for point in next(iter(lines.values()))]
    names = {"bare": "plain, no connection around the body either"}
    return chart(
        "Depth: residual against plain blocks",
        Axis("blocks (two convolutions each)", log=True, ticks=depths),
        Axis(label),
        [Line(names.get(kind, kind), points) for kind, points in lines.items()],
    )


def _dimensions(rows: list[Row]) -> str:
    lines = [
        Line(name, curve(group, "iteration", "psnr"))
        for name, group in variants(rows, "dimensions").items()
    ]
    return chart(
        "Shortcuts where width doubles and size halves",
        Axis("iterations", low=0),
        Axis("PSNR on held-out pictures / dB"),
        lines,
    )


def _histogram(rows: list[Row]) -> str:
    middles = (BINS[:-1] + BINS[1:]) / 2
    lines = []
    for row in (row for row in rows if row["question"] == "learned"):
        pairs = zip(middles, row["histogram"], strict=True)
        points = [_exact(float(x), max(share, 1e-6)) for x, share in pairs]
        lines.append(Line(row["variant"].split("_", 1)[-1], points))
    floor = 10.0 ** math.floor(math.log10(min(p[1] for line in lines for p in line.points)))
    return chart(
        "What the residual adds",
        Axis("8-bit levels (the ends hold all beyond)"),
        Axis("share of the samples", log=True, low=floor, high=1.0),
        lines,
    )
