"""What ``srnet upscale`` is told of its run and its report; the report is written here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srnet.cli.access import check_writable
from srnet.cli.console import print_plan, tell
from srnet.cli.options import STREAM
from srnet.errors import OptionError
from srnet.files import check_name

if TYPE_CHECKING:
    from srnet.naming import Job
    from srnet.report import Report

_BEGINNING = b'{\n "schema": '  # of every report


def check_run(jobs: int, report: str | None, as_json: bool, dry_run: bool) -> None:
    """Refuse too few threads, and a report that could not be written after all the work.

    Raises:
        OptionError: the message says what to choose instead.
    """
    if jobs < 1:
        raise OptionError(f"--jobs must be at least 1, not {jobs}")
    if report == STREAM and as_json:
        raise OptionError("--report - and --json are the same: give one of them")
    if report is None or report == STREAM:
        return
    if dry_run:
        raise OptionError("--dry-run writes nothing: take --report - for standard output")
    check_name(Path(report))
    check_writable(Path(report).parent, "--report")


def check_outputs(work: Sequence[Job], report: str | None, as_json: bool) -> None:
    """Refuse a report that goes where a picture goes, or comes from, or any other file is.

    Raises:
        OptionError: the message names what is in the way.
    """
    from srnet.naming import is_touched

    wanted = "--report -" if report == STREAM else "--json" if as_json else None
    if wanted and any(job.target is None for job in work):
        raise OptionError(f"{wanted} and the picture cannot both go to standard output")
    if report is None or report == STREAM:
        return
    if is_touched(Path(report), work):
        raise OptionError(f"--report: {report} is a picture of this run: choose another name")
    check_earlier(Path(report), _BEGINNING, "--report")


def check_earlier(path: Path, beginning: bytes, option: str) -> None:
    """Refuse to replace a file, unless it is empty or begins as what ``option`` writes.

    Raises:
        OptionError: the file is another, or cannot be read, or it is none.
    """
    if not path.exists():
        return
    if not path.is_file():
        raise OptionError(f"{option}: {path} is there and no file: choose another name")
    try:
        with path.open("rb") as file:
            found = file.read(len(beginning))
    except OSError as error:
        raise OptionError(
            f"{option}: {path} cannot be read ({error.strerror}): choose another name"
        ) from error
    if found not in (b"", beginning):
        raise OptionError(
            f"{option}: {path} is there and was not written by {option}: choose another name"
        )


def publish(result: Report, report: str | None, as_json: bool, *, plan: bool) -> None:
    """Write the report where it is wanted, or print what is planned.

    Raises:
        OutputError: it cannot be written there.
    """
    from srnet.image import write_atomic

    if report is not None and report != STREAM:
        write_atomic(Path(report), result.to_json().encode("ascii"), parents=True)
    if as_json or report == STREAM:
        tell(result.to_json())
    elif plan:
        print_plan(result)
