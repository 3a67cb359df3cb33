"""``srnet eval``: PSNR and SSIM of models on a folder of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isinf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from srnet.cli.access import check_writable
from srnet.cli.console import print_json, say
from srnet.cli.options import Device, Engine, Precision, argument, flag, option
from srnet.errors import DataError, OptionError, PictureError

if TYPE_CHECKING:
    from srnet.evaluate import Degrade, Pair, Row
    from srnet.upscaler import Upscaler


def evaluate(
    folders: Annotated[
        list[Path], argument("FOLDER", "Folders of pictures to shrink, enlarge and compare.")
    ],
    model: Annotated[
        list[str],
        option(
            "MODEL",
            "Model with its scale (photo-x2), or a weights file; may be given again.",
            "-m",
            "--model",
        ),
    ],
    jpeg: Annotated[
        int | None,
        option("QUALITY", "Compress the small pictures as JPEG first: from 1 to 100."),
    ] = None,
    photo: Annotated[
        bool, flag("--photo", "Degrade as for photo weights: blur, noise, JPEG (seed 0).")
    ] = False,
    mild: Annotated[
        bool, flag("--mild", "A little blur and noise, JPEG of quality 40 to 90 (seed 0).")
    ] = False,
    limit: Annotated[
        int | None, option("INTEGER", "Only so many pictures, the first; 1 or more.")
    ] = None,
    strength: Annotated[float, option("NUMBER", "From 0 (bicubic) to 1.")] = 1.0,
    ensemble: Annotated[int, option("INTEGER", "Orientations to average: 1, 2, 4 or 8.")] = 1,
    device: Device = "auto",
    precision: Precision = "float32",
    engine: Engine = "torch",
    each: Annotated[bool, flag("--each", "A row for each picture too.")] = False,
    as_json: Annotated[bool, flag("--json", "Rows as JSON on standard output.")] = False,
    record: Annotated[
        bool,
        flag("--record", "Write the means into the card of the weights file (torch, float32)."),
    ] = False,
) -> None:
    """Score models on folders of pictures (PSNR, SSIM), beside bicubic.

    The scores are on luma (Y), without a border of SCALE pixels.
    A folder with HR/NAME.png and LRbicx2/NAMEx2.png (x3, x4) inside is read as a
    benchmark. In any other, antialiased bicubic makes the small pictures, as there.
    """
    from srnet.evaluate import pairs
    from srnet.product import load
    from srnet.weights import find_one

    if limit is not None and limit < 1:
        raise OptionError(f"--limit must be at least 1, not {limit}")
    kind, degradation = _degradation(jpeg, photo, mild)
    labels = [f"{folder.resolve().name} {kind}".rstrip() for folder in folders]
    files = [find_one(name) for name in model]
    if record:
        _check_record(limit, strength, ensemble, precision, engine)
        _check_recordable(files, folders, labels)
    settings: dict[str, Any] = {
        "strength": strength,
        "ensemble": ensemble,
        "engine": engine,
        "precision": precision,
    }
    tasks = []
    for name, file in zip(model, files, strict=True):
        upscaler = load(file, device=device, **settings)
        scale = next(iter(upscaler.engines))
        for folder, label in zip(folders, labels, strict=True):
            source = pairs(folder, scale, degradation(), limit)
            tasks.append(_Task(name, file, label, upscaler, scale, source))
    rows: list[dict[str, Any]] = []
    try:
        for task in tasks:
            for row in _measured(task, each, record):
                rows.append({**_fields(task, row), **settings})  # noqa: PERF401 - kept on errors
    finally:
        if rows:  # whatever happened after them: they may have taken hours
            print_json(rows) if as_json else _print(rows)


@dataclass(frozen=True)
class _Task:
    """A folder of pictures for a model; they are read when it is their turn."""

    model: str
    file: Path
    label: str
    upscaler: Upscaler
    scale: int
    source: Iterator[Pair]


def _measured(task: _Task, each: bool, record: bool) -> Iterator[Row]:
    """The rows to show, as they come: of each picture if wanted, and the mean.

    Raises:
        PictureError: a picture that cannot be used, or a mean that cannot be recorded.
    """
    from srnet.evaluate import mean, scores

    found: list[Row] = []
    try:
        for row in scores(task.upscaler, task.source, task.scale):
            found.append(row)
            if each:
                yield row
    except DataError as error:  # it is no longer so that nothing was done
        raise PictureError(str(error)) from error
    total = mean(found)
    yield total
    if record:
        _record(task, found, total)


def _degradation(jpeg: int | None, photo: bool, mild: bool) -> tuple[str, Callable[[], Degrade]]:
    """Its name in labels, and what begins it anew: each folder gets the same draws."""
    from srnet import degrade
    from srnet.evaluate import jpeg_degradation, random_degradation

    if (jpeg is not None) + photo + mild > 1:
        raise OptionError("give one of --jpeg, --photo and --mild")
    if jpeg is not None:
        if not 1 <= jpeg <= 100:
            raise OptionError(f"--jpeg must be from 1 to 100, not {jpeg}")
        return f"jpeg {jpeg}", lambda: jpeg_degradation(jpeg)
    if photo:
        return "photo", lambda: random_degradation("photo", 0)
    return ("mild", lambda: random_degradation("mild", 0)) if mild else ("", lambda: degrade.clean)


def _check_record(
    limit: int | None, strength: float, ensemble: int, precision: str, engine: str
) -> None:
    """Cards are compared with each other: their figures are all of one kind."""
    if limit is not None or strength != 1 or ensemble != 1:
        raise OptionError("--record needs the whole folder at strength 1, without --ensemble")
    if (engine, precision) != ("torch", "float32"):
        raise OptionError(
            f"--record takes figures of --engine torch --precision float32 only, not of {engine} "
            f"and {precision}: leave out --record, or these"
        )


def _check_recordable(files: list[Path], folders: list[Path], labels: list[str]) -> None:
    """Refuse what could not be written after all the work, or would be written over."""
    for file in files:
        check_writable(file.parent, "--model, or leave out --record")
    for label in labels:
        same = [
            str(folder) for folder, other in zip(folders, labels, strict=True) if other == label
        ]
        if len(same) > 1:
            raise OptionError(
                f"--record: figures of {' and '.join(same)} would all be called {label!r}: "
                "rename the folders, or give one of them"
            )


def _record(task: _Task, found: list[Row], total: Row) -> None:
    from srnet.weights import record

    equal = [row.name for row in found if isinf(row.psnr)]
    if equal:
        raise PictureError(
            f"not recorded: {equal[0]} came back as it was ({len(equal)} in all), so the mean PSNR "
            f"of {task.label} is infinite: move it out of the folder"
        )
    label = task.label
    record(
        task.file, {f"{label} psnr": round(total.psnr, 3), f"{label} ssim": round(total.ssim, 4)}
    )
    say(f"srnet: recorded as {label} in {task.file}")


def _fields(task: _Task, row: Row) -> dict[str, Any]:
    return {
        "model": task.model,
        "folder": task.label,
        "picture": row.name,
        "psnr": round(row.psnr, 3),
        "ssim": round(row.ssim, 4),
        "bicubic_psnr": round(row.bicubic_psnr, 3),
        "bicubic_ssim": round(row.bicubic_ssim, 4),
    }


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from srnet.cli.console import print_table

    table = Table("model", "folder", "picture", "PSNR", "SSIM", "bicubic PSNR", "bicubic SSIM")
    for row in rows:
        table.add_row(*(str(value) for value in list(row.values())[: len(table.columns)]))
    print_table(table)
