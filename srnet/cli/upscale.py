"""``srnet upscale``: files, folders and standard input, enlarged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srnet.cli.console import conclude, watch
from srnet.cli.options import RUN, Device, Engine, Precision, argument, flag, option
from srnet.cli.parse import box, colour, format_name, pixels
from srnet.cli.publish import check_outputs, check_run, publish
from srnet.cli.stopping import interrupted_once
from srnet.errors import OptionError
from srnet.weights import DEFAULT_FAMILY

if TYPE_CHECKING:
    from srnet.naming import Job
    from srnet.options import Options
    from srnet.report import Report
    from srnet.upscaler import Upscaler
    from srnet.work import Existing

_SIZE, _NAMES, _FILE = "Size", "Names", "Output file"  # panels of the help


def upscale(
    inputs: Annotated[list[str], argument("INPUT", "Pictures, folders, or - for standard input.")],
    output: Annotated[
        str | None,
        option(
            "PATH",
            "File, folder (ending in / if it is new and has a dot), or - for standard output.",
            "-o",
            "--output",
        ),
    ] = None,
    model: Annotated[
        str,
        option(
            "MODEL",
            "Family (photo, clean or fast), one of its models (photo-x2), or a weights file.",
            "-m",
            "--model",
        ),
    ] = DEFAULT_FAMILY,
    strength: Annotated[
        float, option("NUMBER", "How much of the detail to add: from 0 (bicubic) to 1 (all).")
    ] = 1.0,
    ensemble: Annotated[
        int,
        option(
            "INTEGER",
            "Orientations of the picture to average, 1, 2, 4 or 8: as many times slower, 0.05 to "
            "0.1 dB better.",
        ),
    ] = 1,
    scale: Annotated[
        float | None,
        option(
            "FACTOR",
            "Any number from 1 to 16. Without a size: the smallest scale of the model, 2.",
            "-s",
            "--scale",
            panel=_SIZE,
        ),
    ] = None,
    width: Annotated[
        int | None, option("PIXELS", "Width of the result, a whole number.", panel=_SIZE)
    ] = None,
    height: Annotated[
        int | None, option("PIXELS", "Height of the result, a whole number.", panel=_SIZE)
    ] = None,
    fit: Annotated[
        str | None, option("WxH", "Box in pixels; the result is as large as fits.", panel=_SIZE)
    ] = None,
    max_megapixels: Annotated[
        float, option("NUMBER", "Refuse larger results.", panel=_SIZE)
    ] = 500.0,
    format_: Annotated[
        str | None,
        option(
            "FORMAT",
            "png, jpeg, webp, tiff or avif; default that of the input.",
            "-f",
            "--format",
            panel=_FILE,
        ),
    ] = None,
    quality: Annotated[
        int | None,
        option(
            "INTEGER",
            "From 1 to 100, for JPEG, WebP and AVIF.",
            "-q",
            "--quality",
            panel=_FILE,
        ),
    ] = None,
    lossless: Annotated[
        bool,
        flag(
            "--lossless",
            "Write WebP without loss, as is done anyway where the input is such a file and no "
            "quality is given.",
            _FILE,
        ),
    ] = False,
    subsampling: Annotated[
        str,
        option(
            "RATIO",
            "Of colour, in JPEG and AVIF: 4:4:4 (all of it), 4:2:2 or 4:2:0 (smaller files).",
            panel=_FILE,
        ),
    ] = "4:4:4",
    png_level: Annotated[
        int, option("INTEGER", "From 0 (quick, large) to 9 (slow, small), for PNG.", panel=_FILE)
    ] = 3,
    background: Annotated[
        str | None,
        option(
            "COLOUR",
            "Such as white or #ffffff: under transparent pixels where none can be kept.",
            panel=_FILE,
        ),
    ] = None,
    strip_metadata: Annotated[
        bool,
        flag(
            "--strip-metadata",
            "Drop EXIF, XMP, IPTC, texts, dpi, colour profile (colours become sRGB).",
            _FILE,
        ),
    ] = False,
    name: Annotated[
        str | None,
        option(
            "PATTERN",
            "Names of results: {stem} {ext} {scale} {model}, then {suffix}.",
            panel=_NAMES,
        ),
    ] = None,
    overwrite: Annotated[
        bool, flag("--overwrite", "Replace what is there already.", _NAMES)
    ] = False,
    skip_existing: Annotated[
        bool,
        flag(
            "--skip-existing",
            "Go on with a run that was cut off. A result that is there in the right size in "
            "pixels is left as it is; its model and strength are not looked at.",
            _NAMES,
        ),
    ] = False,
    residual: Annotated[
        Path | None,
        option("FOLDER", "Where to put pictures of what the network added.", panel=_NAMES),
    ] = None,
    tile: Annotated[
        int,
        option(
            "PIXELS",
            "Side of a tile of the input; smaller: less memory, and below 100 much slower.",
            panel=RUN,
        ),
    ] = 512,
    device: Device = "auto",
    precision: Precision = "auto",
    engine: Engine = "auto",
    jobs: Annotated[
        int,
        option("INTEGER", "Threads that decode, and as many that encode; at least 1.", panel=RUN),
    ] = 2,
    dry_run: Annotated[
        bool, flag("--dry-run", "Say what would be done; write nothing.", RUN)
    ] = False,
    report: Annotated[
        str | None,
        option("FILE", "Where to write a JSON report; - for standard output.", panel=RUN),
    ] = None,
    as_json: Annotated[bool, flag("--json", "The report on standard output.", RUN)] = False,
    quiet: Annotated[bool, flag("--quiet", "Print errors only.", RUN)] = False,
) -> None:
    """Enlarge pictures: srnet upscale photo.jpg holiday/ -o larger/ -s 4

    Reads PNG, JPEG, WebP, TIFF, AVIF, BMP, GIF, JPEG 2000; writes the first five.
    Folders keep their tree. A picture that fails does not stop the others.

    Exit codes: 0 all is well, 1 a picture failed or its result was there already,
    2 nothing was started (wrong usage, or no such device), 3 no pictures found,
    130 interrupted.
    """
    from srnet.cli.arrange import arrange
    from srnet.options import Options
    from srnet.product import load

    options = Options(
        scale=scale,
        width=width,
        height=height,
        fit=None if fit is None else box(fit),
        strength=strength,
        ensemble=ensemble,
        format=None if format_ is None else format_name(format_),
        quality=quality,
        lossless=lossless or None,
        subsampling=subsampling,
        png_level=png_level,
        keep_metadata=not strip_metadata,
        background=None if background is None else colour(background),
        tile=tile,
        max_pixels=pixels(max_megapixels),
    )
    existing = _existing(overwrite, skip_existing)
    check_run(jobs, report, as_json, dry_run)
    upscaler = load(model, device=device, precision=precision, engine=engine)
    work, ignored = arrange(inputs, output, upscaler, options, name, model, residual)
    check_outputs(work, report, as_json)
    settings = {"model": model, "device": device, "precision": precision, "engine": engine}
    settings |= {"jobs": jobs, "existing": existing} | asdict(options)
    with interrupted_once():
        result = _done(work, upscaler, options, existing, jobs, quiet, dry_run)
        result = replace(result, ignored=ignored, settings={**settings, "ran": _ran(upscaler)})
        raise typer.Exit(_account(result, inputs, report, as_json, overwrite, quiet))


def _done(
    work: Sequence[Job],
    upscaler: Upscaler,
    options: Options,
    existing: Existing,
    threads: int,
    quiet: bool,
    dry_run: bool,
) -> Report:
    from srnet.batch import preview, run
    from srnet.cli.arrange import note_unused

    if not quiet:
        note_unused(work, options)
    if dry_run:
        return preview(work, upscaler, options, existing=existing)
    with watch(quiet) as listener:
        return run(work, upscaler, options, existing=existing, threads=threads, listener=listener)


def _account(
    result: Report,
    inputs: Sequence[str],
    report: str | None,
    as_json: bool,
    overwrite: bool,
    quiet: bool,
) -> int:
    """Write and print how it went; the exit code comes back."""
    try:
        publish(result, report, as_json, plan=result.dry_run and not quiet)
    finally:  # what became of the pictures is told also where the report fails
        code = conclude(result, inputs, overwrite=overwrite, quiet=quiet)
    return code


def _ran(upscaler: Upscaler) -> dict[str, str]:
    """Engine and precision of each network, also where the settings leave the choice to us."""
    return {e.card.name: e.kind for e in upscaler.engines.values() if e.kind}


def _existing(overwrite: bool, skip: bool) -> Existing:
    if overwrite and skip:
        raise OptionError("give --overwrite or --skip-existing, not both")
    return "replace" if overwrite else "skip" if skip else "refuse"
