"""What the commands print: names of files made safe, progress as a bar or as lines."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from srnet.errors import OutputError
from srnet.files import no_output
from srnet.identity import is_same

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table

    from srnet.batch import Listener
    from srnet.report import Report, Row, Status

# Exit codes: something failed, nothing was started, nothing to do, Ctrl-C.
FAILED, UNUSABLE, NOTHING_DONE, INTERRUPTED = 1, 2, 3, 130
_WIDE = 500  # characters, where no terminal limits a line
_IGNORED = "ignored (hidden, called like no picture, a pipe, or a link to a folder)"


def shown(text: str) -> str:
    """``text`` on one line, and what a terminal cannot show escaped: names may hold anything."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


@contextmanager
def _to_standard_output() -> Iterator[None]:
    if sys.stdout is None:
        raise OutputError("cannot write to standard output: it is closed")
    try:
        yield
    except BrokenPipeError:
        raise  # typer ends in silence: whoever read has seen enough
    except OSError as error:
        raise no_output(error) from error


def tell(text: str, *, end: bool = True) -> None:
    """What was asked for, on standard output; ``end`` ends the line.

    Raises:
        OutputError: nothing more can be written there.
    """
    with _to_standard_output():
        typer.echo(text, nl=end)


def print_json(found: Any) -> None:
    """Figures on standard output; what is no number of JSON, as of equal pictures, is null."""
    tell(json.dumps(_finite(found), indent=1, allow_nan=False))


def _finite(found: Any) -> Any:
    if isinstance(found, Mapping):
        return {name: _finite(value) for name, value in found.items()}
    if isinstance(found, list | tuple):
        return [_finite(value) for value in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found


def say(text: str) -> None:
    """A line on standard error."""
    typer.echo(shown(text), err=True)


def summary(row: Row) -> str:
    """A row of the report as a line."""
    if row.status == "failed":
        return f"{row.input}: failed"
    text = f"{row.input} -> {row.output}"
    if row.input_size and row.output_size:
        sizes = ("x".join(map(str, size)) for size in (row.input_size, row.output_size))
        text += "  " + " -> ".join(sizes) + ("  smaller than the input" if row.shrunk else "")
    if row.rounded_to_8_bit:
        text += "  rounded to 8 bits"
    if row.pages_left_out:
        text += f"  without {row.pages_left_out} more page{'s' * (row.pages_left_out > 1)}"
    if row.status != "done":
        return f"{text}  {row.status}" + (f", residual: {row.residual}" if row.residual else "")
    seconds = sum(row.seconds.values())
    consistency = "" if row.consistency_db is None else f"  consistency {row.consistency_db:.1f} dB"
    return f"{text}  {seconds:.2f} s{consistency}"


def failure(row: Row) -> str:
    """What went wrong, and why, the picture named once."""
    reason = row.error or "no reason given"
    return reason if row.input in reason else f"{row.input}: {reason}"


def print_plan(report: Report) -> None:
    """Print what would be done with each picture, and what would be left out."""
    for row in report.rows:
        if row.status in ("planned", "skipped"):
            tell(shown(summary(row)))


def conclude(report: Report, places: Sequence[str], *, overwrite: bool, quiet: bool) -> int:
    """Print how it ended, or would end, and return the exit code.

    ``places`` are where pictures were looked for.
    """
    if not report.rows:
        ignored = f" ({len(report.ignored)} {_IGNORED})" if report.ignored else ""
        say(f"srnet: error: no pictures in {', '.join(places)}{ignored}")
        return NOTHING_DONE
    made = "would not be made" if report.dry_run else "not made"
    _list(report, "refused", f"{made}, as something is there already")
    _list(report, "failed", "would fail" if report.dry_run else "failed")
    if report.interrupted:
        _tell_how_to_go_on(report, overwrite)
        return INTERRUPTED
    if not quiet and (report.seconds or report.dry_run):
        say(_totals(report))
    return FAILED if report.count("refused") or report.count("failed") else 0


def _tell_how_to_go_on(report: Report, overwrite: bool) -> None:
    made, left = ([row for row in report.rows if row.status == s] for s in ("done", "pending"))
    so_far = f"srnet: interrupted after {len(made)} of {len(report.rows)}"
    if not left:
        say(f"{so_far}: nothing is left to do")
    elif any(is_same(Path(row.input), Path(row.output)) for row in made):  # originals are gone
        say(
            f"{so_far}: do not start it again, or what took the place of its input would be "
            f"enlarged once more. Name only the {len(left)} left, with -o the folder of the result:"
        )
        for row in left:
            say(f"  {row.input} -> {row.output}")
    else:
        cure = "start it again" if overwrite else "the same command with --skip-existing goes on"
        say(f"{so_far}: {cure}")


def _list(report: Report, status: Status, verdict: str) -> None:
    """The pictures with a status, each with its reason."""
    rows = [row for row in report.rows if row.status == status]
    if rows:
        say(f"srnet: {len(rows)} of {len(report.rows)} pictures {verdict}:")
    for row in rows:
        say(f"  {failure(row)}")


def _totals(report: Report) -> str:
    counts = [f"{number} {status}" for status, number in report.counts().items() if number]
    made = [row for row in report.rows if row.status in ("done", "planned")]
    if shrunk := sum(row.shrunk for row in made):
        counts.append(f"{shrunk} smaller than the input")
    if added := sum(row.status == "skipped" and row.residual is not None for row in report.rows):
        verb = "to make" if report.dry_run else "made"
        counts.append(f"{added} residual{'s' * (added > 1)} {verb} of results that were there")
    if rounded := sum(row.rounded_to_8_bit for row in made):
        counts.append(f"{rounded} rounded to 8 bits")
    if pages := sum(row.pages_left_out for row in made):
        counts.append(f"{pages} page{'s' * (pages > 1)} of TIFFs left out")
    if report.ignored:
        counts.append(f"{len(report.ignored)} {_IGNORED}")
    text = ", ".join(counts)
    if not report.megapixels:
        return text
    return (
        f"{text}: {report.megapixels:.1f} megapixels in {report.seconds:.1f} s "
        f"({report.megapixels / report.seconds:.2f} MP/s, network busy {report.network_busy:.0%})"
    )


class Lines:
    """A line on standard error for each picture; see :class:`srnet.batch.Listener`."""

    def __init__(self) -> None:
        self._count = self._done = 0

    def started(self, count: int) -> None:
        """Remember how many there are."""
        self._count = count

    def advanced(self, part: float, megapixels: float) -> None:
        """Nothing: lines are for whole pictures."""

    def finished(self, row: Row) -> None:
        """Print the line."""
        self._done += 1
        say(f"[{self._done}/{self._count}] {summary(row)}")


class Bar:
    """A live bar on standard error; see :class:`srnet.batch.Listener`."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._files, self._count = 0, 0
        self._megapixels, self._start = 0.0, time.monotonic()
        self._task = progress.add_task("", total=None, files="", rate="")

    def started(self, count: int) -> None:
        """Set the length of the bar."""
        self._count, self._start = count, time.monotonic()
        self._progress.update(self._task, total=count)
        self._update(0)

    def advanced(self, part: float, megapixels: float) -> None:
        """Move."""
        self._megapixels += megapixels
        self._update(part)

    def finished(self, row: Row) -> None:
        """Count; a failure is printed above the bar."""
        self._files += 1
        self._update(0)
        if row.status == "failed":
            self._progress.console.out(shown(summary(row)), highlight=False)

    def _update(self, part: float) -> None:
        rate = self._megapixels / max(time.monotonic() - self._start, 1e-3)
        self._progress.update(
            self._task,
            advance=part,
            files=f"{self._files}/{self._count} files",
            rate=f"{rate:.1f} MP/s",
        )


def print_table(table: Table) -> None:
    """As wide as the terminal, or, elsewhere, as its cells are."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = _WIDE
    with _to_standard_output():
        console.print(table)


@contextmanager
def watch(quiet: bool) -> Iterator[Listener | None]:
    """Show a run: as a bar on a terminal, as lines elsewhere, not at all when ``quiet``."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None if quiet else Lines()
        return
    files, rate = TextColumn("{task.fields[files]}"), TextColumn("{task.fields[rate]}")
    columns = (BarColumn(), files, rate, TimeRemainingColumn(), TextColumn("left"))
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(progress)
