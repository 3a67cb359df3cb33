"""``srnet eval``: PSNR and SSIM of models on a folder of pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from srnet.cli.console import print_json, say
from srnet.cli.options import Device, Engine, Precision, argument, flag, option
from srnet.errors import OptionError

if TYPE_CHECKING:
    from srnet.evaluate import Degrade, Row
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
    if limit is not None and limit < 1:
        raise OptionError(f"--limit must be at least 1, not {limit}")
    if record:
        _check_record(limit, strength, ensemble, precision, engine)
    kind, degradation = _degradation(jpeg, photo, mild)
    settings = {
        "strength": strength,
        "ensemble": ensemble,
        "engine": engine,
        "precision": precision,
    }
    rows = []
    for name in model:
        upscaler = _load(
            name,
            device=device,
            precision=precision,
            engine=engine,
            strength=strength,
            ensemble=ensemble,
        )
        for folder in folders:
            found = _scores(upscaler, folder, degradation(), limit)
            label = f"{folder.resolve().name} {kind}".rstrip()
            if record:
                _record(name, label, found[-1])
            rows += [
                {**_fields(name, label, row), **settings} for row in (found if each else found[-1:])
            ]
    if as_json:
        print_json(rows)
    else:
        _print(rows)


def _load(name: str, **options: Any) -> Upscaler:
    from srnet.product import load
    from srnet.weights import find_one

    return load(find_one(name), **options)


def _scores(upscaler: Upscaler, folder: Path, degrade: Degrade, limit: int | None) -> list[Row]:
    from srnet.evaluate import mean, pairs, scores

    scale = next(iter(upscaler.engines))
    rows = list(scores(upscaler, pairs(folder, scale, degrade, limit), scale))
    return [*rows, mean(rows)]


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


def _record(name: str, label: str, row: Row) -> None:
    from srnet.weights import find_one, record

    file = find_one(name)
    record(file, {f"{label} psnr": round(row.psnr, 3), f"{label} ssim": round(row.ssim, 4)})
    say(f"srnet: recorded as {label} in {file}")


def _fields(model: str, folder: str, row: Row) -> dict[str, Any]:
    return {
        "model": model,
        "folder": folder,
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
