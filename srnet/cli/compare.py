"""``srnet compare``: two pictures, or one against a reference."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srnet.errors import OptionError

if TYPE_CHECKING:
    from srnet.image import Image


def compare(
    first: Annotated[Path, typer.Argument(help="A picture.")],
    second: Annotated[Path, typer.Argument(help="Another; a smaller one is enlarged by bicubic.")],
    reference: Annotated[
        Path | None, typer.Option(help="The true picture, to score both against.")
    ] = None,
    beside: Annotated[
        list[Path] | None, typer.Option(help="More pictures to show in the side-by-side picture.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Side-by-side picture to write.")
    ] = None,
    crops: Annotated[int, typer.Option(min=0, help="Detail crops, where the two differ most.")] = 3,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing picture.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Figures as JSON.")] = False,
) -> None:
    """PSNR and SSIM on Y of two pictures, and a picture of both with enlarged details."""
    from srnet.compare import same_size, score, side_by_side
    from srnet.image import encode, format_for, write_atomic

    if output is not None and output.exists() and not overwrite:
        raise OptionError(f"{output} exists: choose another --output, or pass --overwrite")
    a, b = _read(first), _read(second)
    height, width = max(a.height, b.height), max(a.width, b.width)
    a, b = same_size(a, height, width), same_size(b, height, width)
    figures = {"first against second": score(a, b)}
    panels = [a, b]
    if reference is not None:
        truth = _read(reference)
        figures = {
            "first against reference": score(a, truth),
            "second against reference": score(b, truth),
        }
        panels.append(truth)
    panels += [same_size(_read(path), height, width) for path in beside or ()]
    if output is not None:
        write_atomic(output, encode([side_by_side(panels, crops)], format_for(output)))
    if as_json:
        typer.echo(json.dumps({name: asdict(s) for name, s in figures.items()}, indent=1))
        return
    for name, s in figures.items():
        typer.echo(f"{name}: PSNR {s.psnr:.2f} dB, SSIM {s.ssim:.4f}, largest {s.largest} levels")
    if output is not None:
        typer.echo(f"wrote {output}")


def _read(path: Path) -> Image:
    from srnet.image import decode
    from srnet.upscaler import read_file

    return decode(read_file(path), str(path))[0]
