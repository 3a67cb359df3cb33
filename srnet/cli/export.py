"""``srnet export``: weights as ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from srnet.cli.access import check_writable
from srnet.cli.console import tell
from srnet.cli.options import argument, flag, option
from srnet.errors import OptionError
from srnet.files import check_free


def export(
    model: Annotated[str, argument("MODEL", "Model with its scale (photo-x2), or a weights file.")],
    output: Annotated[
        Path | None, option("FILE", "File to write; default MODEL.onnx here.", "-o", "--output")
    ] = None,
    overwrite: Annotated[bool, flag("--overwrite", "Replace an existing file.")] = False,
) -> None:
    """Write a model as ONNX, checked against PyTorch.

    It takes float32 (N, 3, H, W) from 0 to 1, RGB as in sRGB, and gives
    the same, not limited to 0 to 1. For the pixels of srnet give it the
    picture with 4 more of its mirror image on each side (the edge is
    there twice), and cut 4 x SCALE from each side of the result.

    Needs the packages of the extra called export.
    """
    from srnet.export import SHAPES, export_onnx
    from srnet.weights import find_one

    weights = find_one(model)
    target = output or Path(weights.stem + ".onnx")
    if target.suffix != ".onnx":
        raise OptionError(f"--output: call it {target.name}.onnx, or runtimes will not know it")
    check_free(target, "choose another --output, or pass --overwrite", overwrite=overwrite)
    check_writable(target.parent, "--output")
    difference = export_onnx(weights, target)
    tell(
        f"wrote {target}: differs from PyTorch by at most {difference:.1e} of full scale "
        f"on {len(SHAPES)} shapes"
    )
