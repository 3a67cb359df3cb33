"""From the rows of a study to the tables of its page, in Markdown."""

from __future__ import annotations

from srnet.study.figures import BASES, by_kind, crossing, curve, summary, variants
from srnet.study.ledger import Row


def tables(rows: list[Row]) -> dict[str, str]:
    """Every table of the page by question; a range in brackets is the spread over seeds."""
    return {
        "toy": _toy(rows),
        "base": _base(rows),
        "shallow": _shallow(rows),
        "crossing": _crossing(rows),
        "depth": _depth(rows),
        "dimensions": _dimensions(rows),
        "learned": _learned(rows),
        "precision": _precision(rows),
    }


def table(head: list[str], lines: list[list[str]]) -> str:
    """A table in Markdown."""
    cells = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _spread(group: list[Row], field: str, digits: int = 2, factor: float = 1.0) -> str:
    """Mean and, in brackets, least and greatest."""
    mean, low, high = (f"{v * factor:.{digits}f}" for v in summary(row[field] for row in group))
    return mean if low == high else f"{mean} ({low} to {high})"


def _toy(rows: list[Row]) -> str:
    groups = variants(rows, "toy")
    head = ["", f"error after {next(iter(groups.values()))[0]['steps']} steps"]
    return table(head, [[name, _spread(group, "error", 3)] for name, group in groups.items()])


def _base(rows: list[Row]) -> str:
    lines = []
    for name, group in variants(rows, "base").items():
        last = len(group[0]["curve"]) - 1
        way = [
            f"{summary(r['curve'][last * part // 10]['psnr'] for r in group)[0]:.2f}"
            for part in (0, 2, 5)
        ]
        lines.append([BASES[name], *way, _spread(group, "psnr")])
    return table(["network", "untrained", "after 20 %", "after 50 %", "at the end"], lines)


def _shallow(rows: list[Row]) -> str:
    lines = []
    for size in zip(*by_kind(rows).values(), strict=True):
        for group in size:
            net = group[0]["net"]
            lines.append(
                [
                    group[0]["variant"].rsplit(" ", 1)[0],
                    f"{net['features']} x {net['blocks']}",
                    str(group[0]["parameters"]),
                    _spread(group, "seconds", 1),
                    _spread(group, "seconds_per_megapixel"),
                    _spread(group, "psnr"),
                ]
            )
    head = ["kind", "features x blocks", "parameters", "training / s"]
    return table([*head, "use / s per megapixel", "PSNR / dB"], lines)


def _crossing(rows: list[Row]) -> str:
    lines = []
    for linear, pair, residual in zip(*by_kind(rows).values(), strict=True):
        size = residual[0]["variant"].split()[-1]
        lines.append([size, *_passes(linear, residual), *_passes(pair, residual)])
    head = ["parameters, at most", "linear: iterations", "seconds"]
    return table([*head, "one pair: iterations", "seconds"], lines)


def _passes(ahead: list[Row], behind: list[Row]) -> list[str]:
    """The iterations, and the seconds of training, after which the second kind leads."""
    iterations, seconds = (
        crossing(curve(ahead, x, "psnr"), curve(behind, x, "psnr"))
        for x in ("iteration", "seconds")
    )
    return [
        "not yet" if iterations is None else f"{iterations:.0f}",
        "not yet" if seconds is None else f"{seconds:.1f}",
    ]


def _depth(rows: list[Row]) -> str:
    lines = []
    for name, group in variants(rows, "depth").items():
        kind, depth = name.split()
        loss = _spread(group, "loss", 2, 255)
        lines.append([depth, kind, str(group[0]["parameters"]), loss, _spread(group, "psnr")])
    return table(["blocks", "kind", "parameters", "loss / levels", "PSNR / dB"], lines)


def _dimensions(rows: list[Row]) -> str:
    lines = [
        [
            name,
            str(group[0]["parameters"]),
            _spread(group, "seconds", 1),
            _spread(group, "seconds_per_megapixel", 3),
            _spread(group, "psnr"),
        ]
        for name, group in variants(rows, "dimensions").items()
    ]
    head = ["shortcut", "parameters", "training / s", "use / s per megapixel", "PSNR / dB"]
    return table(head, lines)


def _learned(rows: list[Row]) -> str:
    shown = [row for row in rows if row["question"] == "learned"]
    lines = [
        [
            row["variant"].split("_", 1)[-1],
            f"{row['rms_missing']:.1f}",
            f"{row['rms_residual']:.1f}",
            f"{100 * row['share_of_energy']:.2f} %",
            f"{100 * row['share_of_error_removed']:.0f} %",
            *(f"{psnr:.2f}" for psnr in row["psnr_by_strength"].values()),
            f"{row['best_strength']:.2f}",
        ]
        for row in shown
    ]
    strengths = [f"dB at {k}" for k in shown[0]["psnr_by_strength"]]
    head = ["photograph", "missing / levels", "added / levels", "share of energy"]
    return table([*head, "error removed", *strengths, "best strength"], lines)


def _precision(rows: list[Row]) -> str:
    lines = []
    for name, group in {**variants(rows, "base"), **variants(rows, "precision")}.items():
        cells = [BASES.get(name, f"shipped {name}")]
        for kind in ("bfloat16", "int8"):
            found = [row["low_precision"][kind] for row in group]
            cells += [_spread(found, "rms"), _spread(found, "max", 1)]
            cells.append(_spread(found, "psnr_change", 3))
        lines.append(cells)
    head = ["network", "bfloat16: rms", "largest", "dB", "int8: rms", "largest", "dB"]
    return table(head, lines)
