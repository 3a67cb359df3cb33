"""``srnet calibrate``: prepare weights for int8."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from srnet.cli.access import check_writable
from srnet.cli.console import tell
from srnet.cli.options import argument, option
from srnet.errors import OptionError


def calibrate(
    models: Annotated[
        list[str], argument("MODEL", "Models with their scale (photo-x2), or weights files.")
    ],
    pictures: Annotated[Path, option("FOLDER", "Photographs, full size; 20 or more are good.")],
    graphics: Annotated[
        int,
        option("INTEGER", "Drawn pictures of text and shapes; a fifth more of strong colours."),
    ] = 32,
    steps: Annotated[
        int, option("INTEGER", "Steps that make the measured ranges better; 0: as measured.")
    ] = 120,
    turns: Annotated[
        int,
        option(
            "INTEGER",
            "Steps that look for weights which do the same and lose less in bfloat16, before all "
            "else; 200 are good; 0: the weights stay as they are.",
        ),
    ] = 0,
) -> None:
    """Prepare weights for --precision int8: find the ranges of what goes through the network.

    The result is kept in the weights file.
    """
    from srnet.calibrate import calibrate
    from srnet.weights import find_one

    if graphics < 0:
        raise OptionError(f"--graphics must be 0 or more, not {graphics}")
    if steps < 0:
        raise OptionError(f"--steps must be 0 or more, not {steps}")
    if turns < 0:
        raise OptionError(f"--turns must be 0 or more, not {turns}")
    files = [find_one(name) for name in models]
    for path in files:
        check_writable(path.parent, "MODEL, such as a copy of it elsewhere")
    for path in files:
        count = calibrate(path, pictures, graphics, steps, turns)
        tell(f"{path}: ranges for int8 from {count} pictures")
