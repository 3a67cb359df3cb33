"""How the commands declare their options, and those that several of them have."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def option(metavar: str, text: str, *names: str, panel: str | None = None) -> Any:
    """An option with a value, called ``metavar``; ``text`` is its help and says what it takes.

    A wrong value is answered with the same text.
    """
    return typer.Option(*names, help=text, metavar=metavar, rich_help_panel=panel)


def flag(name: str, text: str, panel: str | None = None) -> Any:
    """An option without a value: its help shows no type, and it has no --no- form."""
    return typer.Option(name, help=text, metavar="", rich_help_panel=panel)


def argument(metavar: str, text: str) -> Any:
    """What a command works on, called ``metavar``."""
    return typer.Argument(help=text, metavar=metavar)


RUN = "Run"  # a panel of the help
STREAM = "-"  # standard input or output
Device = Annotated[str, option("DEVICE", "auto, cpu, cuda, cuda:N or mps.", panel=RUN)]
Engine = Annotated[
    str,
    option(
        "ENGINE",
        "auto (openvino if installed, on x86-64 without GPU), torch or openvino.",
        panel=RUN,
    ),
]
_PRECISIONS = "auto (what is faster here), float32 or bfloat16"
TrainPrecision = Annotated[str, option("PRECISION", f"{_PRECISIONS}.", panel=RUN)]
Precision = Annotated[
    str, option("PRECISION", f"{_PRECISIONS}; int8 (OpenVINO): faster, for photographs.", panel=RUN)
]
