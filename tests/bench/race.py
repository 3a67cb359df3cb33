"""srnet and other upscalers on the same pictures: quality, time, memory. A table, and JSON.

``python -m tests.bench.race FOLDER --scale 4 [--models clean fast] [--precisions auto int8]
[--opencv FSRCNN_x4.pb] [--ncnn span_x4.param] [--command 'name=program -i {input} -o {output}']
[--json race.json]``

Every picture goes through all in turn (A B A B), in two ways: as a **whole process**, a fresh one
for each picture and run, from file to file, start and loading included (srnet as its command, which
also compares its result with its input, and has compiled its network before); and **warm**, in this
process, from array to array, which commands cannot. Seconds are of the wall, the shortest of the
runs for each picture, summed over the pictures and divided by the megapixels of output. PSNR and
SSIM are means over the pictures, on Y of the 8-bit file that was written, without a border of SCALE
pixels. Who fails is a row as well.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

import numpy as np
import PIL.Image

from srnet.data import read_rgb8
from srnet.evaluate import Pair, pairs
from srnet.metrics import luma, psnr, ssim
from srnet.study.chart import Axis, Line, chart
from srnet.study.tables import table
from srnet.upscaler import Upscaler
from tests.bench import engines, speed
from tests.bench.peers import Peer, others, ours
from tests.bench.process import Usage, measured
from tests.bench.runner import Enlarge

T = TypeVar("T")
Row = dict[str, Any]
WAYS = {"process": "whole process", "warm": "warm"}


@dataclass
class Entry:
    """How one upscaler did so far; ``error`` says why it is out."""

    peer: Peer
    enlarge: Enlarge | None = None
    usages: list[Usage] = field(default_factory=list)  # best of the runs, one a picture
    warm: float = 0.0  # seconds, all pictures together
    scores: list[tuple[float, float]] = field(default_factory=list)  # PSNR, SSIM
    error: str | None = None

    def prepare(self) -> None:
        """Load what there is to load, and use it once: srnet compiles its network then."""
        if self.peer.load is not None:
            self.enlarge = self.attempt(self.peer.load)
            self.attempt(lambda: self.enlarge(np.zeros((16, 16, 3), np.uint8)))

    def attempt(self, task: Callable[[], T]) -> T | None:
        """What a task gives, or None once one has failed."""
        if self.error is None:
            try:
                return task()
            except Exception as error:  # whatever a peer may raise
                self.error = f"{type(error).__name__}: {error}"
        return None


def race(folder: Path, scale: int, peers: list[Peer], runs: int, limit: int | None) -> Row:
    """All peers over all pictures; the report."""
    entries = [Entry(peer) for peer in peers]
    for entry in entries:
        entry.prepare()
    pictures = []
    with tempfile.TemporaryDirectory() as scratch:
        for pair in pairs(folder, scale, limit=limit):
            whole(entries, pair, Path(scratch), runs, scale)
            warm(entries, pair, runs)
            size = pair.high.shape[:2]
            pictures.append({"name": pair.name, "height": size[0], "width": size[1]})
            sys.stderr.write(f"{pair.name}: {size[1]} x {size[0]}\n")
    megapixels = sum(p["height"] * p["width"] for p in pictures) / 1e6
    rows = [row(entry, megapixels) for entry in entries]
    for way in WAYS:
        for fast in front(rows, way):
            fast[f"on_{way}_front"] = True
    return {
        "machine": {**speed.machine(), **engines.machine()},
        "times": f"seconds of the wall per output megapixel, shortest of {runs} for each picture",
        "scale": scale,
        "output_megapixels": round(megapixels, 3),
        "pictures": pictures,
        "rows": rows,
    }


def whole(entries: list[Entry], pair: Pair, scratch: Path, runs: int, scale: int) -> None:
    """One picture through a fresh process of each, from file to file; and how good it is."""
    source, target = scratch / "in.png", scratch / "out.png"
    PIL.Image.fromarray(pair.low).save(source)
    high = luma(pair.high)

    def run(entry: Entry) -> Usage:
        target.unlink(missing_ok=True)
        usage = measured(entry.peer.filled(source, target))
        if len(entry.scores) == len(entry.usages):  # the first run
            result = luma(read_rgb8(target))
            entry.scores.append((psnr(result, high, scale), ssim(result, high, scale)))
        return usage

    tasks = {i: partial(e.attempt, partial(run, e)) for i, e in enumerate(entries)}
    for entry, usages in zip(entries, speed.in_turn(runs, tasks).values(), strict=True):
        if entry.error is None:
            seconds = min(usage.seconds for usage in usages)
            entry.usages.append(Usage(seconds, max(usage.peak for usage in usages)))


def warm(entries: list[Entry], pair: Pair, runs: int) -> None:
    """One picture through each function, from array to array, after one run to warm up."""
    able = [entry for entry in entries if entry.enlarge is not None]
    tasks = {
        i: partial(e.attempt, partial(speed.timed, partial(e.enlarge, pair.low)))
        for i, e in enumerate(able)
    }
    for entry, seconds in zip(able, speed.in_turn(runs + 1, tasks).values(), strict=True):
        if entry.error is None:
            entry.warm += min(seconds[1:])


def row(entry: Entry, megapixels: float) -> Row:
    """The figures of one upscaler; of one that failed, only why."""
    start = {"name": entry.peer.name, "ours": entry.peer.ours}
    if entry.error is not None:
        return {**start, "error": entry.error}
    taken = sum(usage.seconds for usage in entry.usages)
    loaded = entry.enlarge.engines.values() if isinstance(entry.enlarge, Upscaler) else ()
    return {
        **start,
        "psnr": round(fmean(score[0] for score in entry.scores), 3),
        "ssim": round(fmean(score[1] for score in entry.scores), 4),
        "warm": round(entry.warm / megapixels, 4) if entry.enlarge is not None else None,
        "process": round(taken / megapixels, 4),
        "peak_mb": round(max(usage.peak for usage in entry.usages) / 1e6),
        "ran": [f"{type(e).__name__} {e.dtype}" for e in loaded if e.dtype],
    }


def front(rows: list[Row], way: str) -> list[Row]:
    """The Pareto front, quickest first: all that are quicker are less good."""
    found: list[Row] = []
    timed = [r for r in rows if r.get(way) is not None]
    for r in sorted(timed, key=lambda r: (r[way], -r["psnr"])):
        if not found or r["psnr"] > found[-1]["psnr"]:
            found.append(r)
    return found


def shown(report: Row, by: str) -> str:
    """The table, quickest first; an asterisk where a row is on the Pareto front of that time."""

    def seconds(r: Row, way: str) -> str:
        mark = " *" if r.get(f"on_{way}_front") else ""
        return "-" if r[way] is None else f"{r[way]:.3g}{mark}"

    def place(r: Row) -> float:
        return float("inf") if r.get(by) is None else r[by]

    lines = []
    for r in sorted(report["rows"], key=place):
        if "error" in r:
            why = r["error"].replace("|", "/").replace("\n", " ")
            lines.append([r["name"], f"failed: {why}", "", "", "", ""])
            continue
        times = [seconds(r, way) for way in WAYS]
        lines.append([r["name"], f"{r['psnr']:.2f}", f"{r['ssim']:.4f}", *times, str(r["peak_mb"])])
    head = [f"x{report['scale']}", "PSNR / dB", "SSIM"]
    times = [f"{words} / s per MP" for words in WAYS.values()]
    return table([*head, *times, "process, peak / MB"], lines)


def plot(report: Row, by: str) -> str:
    """Quality against speed, as SVG."""

    def points(rows: list[Row]) -> list[tuple[float, float, float, float]]:
        return [(1 / r[by], r["psnr"], r["psnr"], r["psnr"]) for r in rows]

    rows = [r for r in report["rows"] if r.get(by) is not None]
    if not rows:
        raise SystemExit(f"nothing to plot: no upscaler has a {WAYS[by]} time")
    groups = {"srnet": True, "others": False}
    lines = [Line("Pareto front", points(front(rows, by)), dashed=True)]
    for name, mine in groups.items():
        members = [r for r in rows if r["ours"] == mine]
        labels = [r["name"].removeprefix("srnet ") for r in members]
        if members:
            lines.append(Line(name, points(members), labels=labels))
    rates = [1 / r[by] for r in rows]
    across = Axis(
        f"{WAYS[by]}: megapixels of output a second",
        log=True,
        low=min(rates) / 1.5,
        high=max(rates) * 1.5,
    )
    title = f"x{report['scale']}, {len(report['pictures'])} pictures"
    return chart(title, across, Axis("PSNR on Y / dB"), lines)


def command(text: str) -> Peer:
    """A peer of the command line, ``name=program {input} {output}``."""
    name, _, words = text.partition("=")
    parts = tuple(shlex.split(words))
    if not name or not all(any(w in part for part in parts) for w in ("{input}", "{output}")):
        raise argparse.ArgumentTypeError("must be like 'name=program -i {input} -o {output}'")
    return Peer(name, parts)


def svg(text: str) -> Path:
    """The file for a plot."""
    if Path(text).suffix != ".svg":
        raise argparse.ArgumentTypeError("plots are drawn as SVG: call it NAME.svg")
    return Path(text)


def main(arguments: list[str] | None = None) -> None:
    """Run the race, print the table, write the files asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="with HR/ and LRbicx4/, or of photographs")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--models", nargs="*", default=["clean", "fast", "photo"])
    parser.add_argument("--engines", nargs="+", default=["auto"])
    parser.add_argument("--precisions", nargs="+", default=["auto"])
    parser.add_argument("--opencv", nargs="+", type=Path, default=[], help="dnn_superres weights")
    parser.add_argument("--ncnn", nargs="+", type=Path, default=[], help=".param, .bin beside it")
    parser.add_argument("--command", action="append", type=command, default=[])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--limit", type=int, help="pictures")
    parser.add_argument("--by", choices=list(WAYS), default="warm", help="order and plot")
    parser.add_argument("--plot", type=svg)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    peers = [*ours(given.models, given.engines, given.precisions, given.scale)]
    peers += [*others([*given.opencv, *given.ncnn], given.scale), *given.command]
    report = race(given.folder, given.scale, peers, given.runs, given.limit)
    sys.stdout.write(shown(report, given.by) + "\n")
    if given.json:
        given.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    if given.plot:
        given.plot.write_text(plot(report, given.by), "utf-8")


if __name__ == "__main__":
    main()
