"""``srnet export``: weights as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srnet.errors import OptionError


def export(
    model: Annotated[str, typer.Argument(help="Model with its scale (photo-x2) or weights file.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; default MODEL.onnx here.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing file.")] = False,
) -> None:
    """Write a model as ONNX, checked against torch on three shapes."""
    from srnet.export import SHAPES, export_onnx
    from srnet.weights import find

    files = find(model)
    if len(files) != 1:
        raise OptionError(f"{model} comes in several scales: name one of them, such as {model}-x2")
    target = output or Path(files[0].stem + ".onnx")
    if target.exists() and not overwrite:
        raise OptionError(f"{target} exists: choose another --output, or pass --overwrite")
    difference = export_onnx(files[0], target)
    typer.echo(f"{target}: at most {difference:.1e} from torch on {len(SHAPES)} shapes")
