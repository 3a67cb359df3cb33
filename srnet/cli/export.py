"""``srnet export``: weights as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srnet.cli.access import check_writable
from srnet.cli.options import argument, flag, option
from srnet.errors import OptionError, OutputError


def export(
    model: Annotated[str, argument("MODEL", "Model with its scale (photo-x2), or a weights file.")],
    output: Annotated[
        Path | None, option("FILE", "File to write; default MODEL.onnx here.", "-o", "--output")
    ] = None,
    overwrite: Annotated[bool, flag("--overwrite", "Replace an existing file.")] = False,
) -> None:
    """Write a model as ONNX, checked against PyTorch.

    Needs the packages of the extra called export.
    """
    from srnet.export import SHAPES, export_onnx
    from srnet.weights import find

    files = find(model)
    if len(files) != 1:
        raise OptionError(f"{model} comes in several scales: name one of them, such as {model}-x2")
    target = output or Path(files[0].stem + ".onnx")
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists: choose another --output, or pass --overwrite")
    check_writable(target.parent, "--output")
    difference = export_onnx(files[0], target)
    typer.echo(
        f"wrote {target}: differs from PyTorch by at most {difference:.1e} of full scale "
        f"on {len(SHAPES)} shapes"
    )
