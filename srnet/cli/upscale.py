"""``srnet upscale``: files, folders and standard input, enlarged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srnet.cli.console import conclude, watch
from srnet.errors import OptionError, OutputError
from srnet.weights import DEFAULT_FAMILY

if TYPE_CHECKING:
    from srnet.naming import Job
    from srnet.options import Options
    from srnet.report import Report
    from srnet.upscaler import Upscaler
    from srnet.work import Existing

_SIZE, _NAMES, _FILE, _RUN = "Size", "Names", "Output file", "Run"


def upscale(
    inputs: Annotated[
        list[str], typer.Argument(help="Pictures, folders, or - for standard input.")
    ],
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", help="File, folder, or - for standard output."),
    ] = None,
    model: Annotated[
        str, typer.Option("-m", "--model", help="photo, clean, fast; a name; or a weights file.")
    ] = DEFAULT_FAMILY,
    strength: Annotated[
        float, typer.Option(help="Of what the network adds: 0 is bicubic, 1 is all.")
    ] = 1.0,
    scale: Annotated[
        float | None,
        typer.Option("-s", "--scale", help="Factor from 1 to 16.", rich_help_panel=_SIZE),
    ] = None,
    width: Annotated[int | None, typer.Option(help="Pixels.", rich_help_panel=_SIZE)] = None,
    height: Annotated[int | None, typer.Option(help="Pixels.", rich_help_panel=_SIZE)] = None,
    fit: Annotated[
        str | None,
        typer.Option(help="Box that the result fills.", metavar="WxH", rich_help_panel=_SIZE),
    ] = None,
    max_megapixels: Annotated[
        float, typer.Option(help="Refuse larger results.", rich_help_panel=_SIZE)
    ] = 500.0,
    format_: Annotated[
        str | None,
        typer.Option(
            "-f",
            "--format",
            help="png, jpeg, webp, tiff or avif; default that of the input.",
            rich_help_panel=_FILE,
        ),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option("-q", "--quality", help="1 to 100, where lossy.", rich_help_panel=_FILE),
    ] = None,
    lossless: Annotated[
        bool, typer.Option("--lossless", help="Lossless WebP.", rich_help_panel=_FILE)
    ] = False,
    background: Annotated[
        str | None,
        typer.Option(
            help="Under transparent pixels where the format has none.",
            metavar="#RRGGBB",
            rich_help_panel=_FILE,
        ),
    ] = None,
    strip_metadata: Annotated[
        bool,
        typer.Option(
            "--strip-metadata", help="Drop the colour profile and EXIF.", rich_help_panel=_FILE
        ),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            help="Names of results: {stem} {ext} {scale} {model}, then {suffix}.",
            metavar="PATTERN",
            rich_help_panel=_NAMES,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results.", rich_help_panel=_NAMES)
    ] = False,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing", help="Go on with a run that was cut off.", rich_help_panel=_NAMES
        ),
    ] = False,
    residual: Annotated[
        Path | None,
        typer.Option(
            help="Folder for pictures of what the network added.",
            metavar="FOLDER",
            rich_help_panel=_NAMES,
        ),
    ] = None,
    tile: Annotated[
        int, typer.Option(help="Input pixels of a tile, each way.", rich_help_panel=_RUN)
    ] = 768,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda or mps.", rich_help_panel=_RUN)
    ] = "auto",
    precision: Annotated[
        str, typer.Option(help="auto, float32 or bfloat16.", rich_help_panel=_RUN)
    ] = "auto",
    engine: Annotated[
        str, typer.Option(help="auto, torch or openvino.", rich_help_panel=_RUN)
    ] = "auto",
    jobs: Annotated[
        int,
        typer.Option(min=1, help="Threads that decode, and that encode.", rich_help_panel=_RUN),
    ] = 2,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan only.", rich_help_panel=_RUN)
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(help="JSON file for a report.", metavar="FILE", rich_help_panel=_RUN),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="The report on standard output.", rich_help_panel=_RUN),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print errors only.", rich_help_panel=_RUN)
    ] = False,
) -> None:
    """Enlarge pictures: srnet upscale photo.jpg holiday/ -o larger/ -s 4

    Reads PNG, JPEG, WebP, TIFF, AVIF, BMP, GIF, JPEG 2000; writes the first five.
    Folders keep their tree. A picture that fails does not stop the others.
    Exit codes: 0 all is well, 1 a picture failed, 2 wrong usage, 3 no pictures, 130 interrupted.
    """
    from srnet.batch import preview
    from srnet.cli.arrange import arrange
    from srnet.options import Options
    from srnet.product import load

    options = Options(
        scale=scale,
        width=width,
        height=height,
        fit=None if fit is None else _box(fit),
        strength=strength,
        format=None if format_ is None else _format(format_),
        quality=quality,
        lossless=lossless,
        keep_metadata=not strip_metadata,
        background=None if background is None else _colour(background),
        tile=tile,
        max_pixels=_pixels(max_megapixels),
    )
    existing = _existing(overwrite, skip_existing)
    _check_report(report, dry_run)
    upscaler = load(model, device=device, precision=precision, engine=engine)
    _check(upscaler, options)
    work, ignored = arrange(inputs, output, upscaler, options, name, model, residual)
    _check_stdout(work, as_json)
    if dry_run:
        result = preview(work, upscaler, options, existing=existing)
    else:
        result = _watched(work, upscaler, options, existing, jobs, quiet)
    settings = {"model": model, "device": device, "precision": precision, "engine": engine}
    settings |= {"jobs": jobs, "existing": existing} | asdict(options)
    result = replace(result, ignored=ignored, settings=settings)
    _publish(result, report, as_json)
    show = dry_run and not as_json
    raise typer.Exit(conclude(result, overwrite=overwrite, quiet=quiet, plan=show))


def _watched(
    work: Sequence[Job],
    upscaler: Upscaler,
    options: Options,
    existing: Existing,
    threads: int,
    quiet: bool,
) -> Report:
    from srnet.batch import run

    with watch(quiet) as listener:
        return run(work, upscaler, options, existing=existing, threads=threads, listener=listener)


def _check_stdout(work: Sequence[Job], as_json: bool) -> None:
    if as_json and any(job.target is None for job in work):
        raise OptionError("--json and the picture cannot both go to standard output")


def _existing(overwrite: bool, skip: bool) -> Existing:
    if overwrite and skip:
        raise OptionError("give --overwrite or --skip-existing, not both")
    return "replace" if overwrite else "skip" if skip else "refuse"


def _check_report(report: Path | None, dry_run: bool) -> None:
    if report is not None and dry_run:
        raise OptionError("--dry-run writes nothing: take --json instead of --report")
    if report is not None and not report.parent.is_dir():
        raise OptionError(f"--report: there is no folder {report.parent}")


def _publish(result: Report, report: Path | None, as_json: bool) -> None:
    from srnet.image import write_atomic

    if report is not None:
        write_atomic(report, result.to_json().encode("ascii"))
    if as_json:
        typer.echo(result.to_json())


def _check(upscaler: Upscaler, options: Options) -> None:
    """Refuse, before any work, options that could work for no picture."""
    import numpy as np

    from srnet.image import Image
    from srnet.upscaler import write

    side = 1_000_000  # so large that every target size is within reach
    upscaler.size(side, side, options)
    try:
        write([Image(np.zeros((1, 1, 3), np.uint8))], options)
    except OutputError as error:
        raise OptionError(str(error)) from error


def _format(name: str) -> str:
    from srnet.image import FORMATS, format_for

    try:
        return format_for(Path(f"picture.{name}"))
    except OptionError as error:
        raise OptionError(f"--format: choose one of {', '.join(FORMATS)}, not {name}") from error


def _pixels(megapixels: float) -> int:
    if not 0 < megapixels < inf:  # also refuses NaN
        raise OptionError(f"--max-megapixels must be above 0, not {megapixels:g}")
    return int(megapixels * 1e6)


def _box(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", text, re.ASCII | re.IGNORECASE)
    if match is None:
        raise OptionError(f"--fit is WIDTHxHEIGHT in pixels, such as 1920x1080, not {text}")
    return int(match[1]), int(match[2])


def _colour(text: str) -> tuple[int, int, int]:
    match = re.fullmatch(r"#?([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", text, re.IGNORECASE)
    if match is None:
        raise OptionError(f"--background is a colour such as #ffffff, not {text}")
    return int(match[1], 16), int(match[2], 16), int(match[3], 16)
