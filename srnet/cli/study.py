"""``srnet study``: experiments that answer questions about the design."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srnet.cli.access import check_writable
from srnet.cli.console import say, tell
from srnet.cli.options import argument, flag, option
from srnet.errors import OptionError

app = typer.Typer(no_args_is_help=True, help="Experiments that answer questions about the design.")


@app.callback()
def _study() -> None:
    """Experiments that answer questions about the design."""


@app.command("residual")
def residual(
    photographs: Annotated[Path, argument("PHOTOGRAPHS", "Folder of pictures to train on.")],
    held_out: Annotated[Path, argument("HELD_OUT", "Folder of others, to score on.")],
    output: Annotated[
        Path, option("FOLDER", "Where to put the JSON and the pictures.", "-o", "--output")
    ] = Path("residual"),
    show: Annotated[
        list[Path] | None,
        option("FILE", "Photograph to look at in detail; default: three of HELD_OUT."),
    ] = None,
    work: Annotated[Path, option("FOLDER", "Where finished rows are kept, to go on from.")] = Path(
        "runs/study"
    ),
    quick: Annotated[bool, flag("--quick", "A few seconds; the figures mean nothing.")] = False,
) -> None:
    """What is the residual connection for? Trains small networks and compares them.

    About half a minute a row on one core. The same command goes on where it was cut off.
    """
    from srnet.data import find_pictures
    from srnet.naming import check_present
    from srnet.study.residual import study

    for folder in (photographs, held_out):
        if not folder.is_dir():
            raise OptionError(f"there is no folder {folder}")
    check_present(show or [])
    check_writable(output, "--output")
    check_writable(work, "--work")
    shown = show or find_pictures(held_out)[:3]
    tables = study(photographs, held_out, output, shown=shown, work=work, quick=quick, report=say)
    for name, table in tables.items():
        tell(f"{name}\n\n{table}\n")
