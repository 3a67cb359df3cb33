"""``srnet info``: models, devices, versions."""

from __future__ import annotations

import os
import platform
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from srnet.cli.console import print_json, shown, tell
from srnet.cli.options import argument, flag
from srnet.errors import OptionError

if TYPE_CHECKING:
    from srnet.card import Card


def info(
    model: Annotated[
        str | None,
        argument("MODEL", "Family (photo), one of its models (photo-x2), or a file; default all."),
    ] = None,
    as_json: Annotated[bool, flag("--json", "Everything as JSON, cards in full.")] = False,
    markdown: Annotated[
        bool, flag("--markdown", "The cards as a page: how weights/README.md is made.")
    ] = False,
) -> None:
    """Show the models with their figures, the devices here, and versions."""
    from srnet.modelcard import parameters, weights_readme
    from srnet.report import versions
    from srnet.weights import find, read_card, shipped

    if as_json and markdown:
        raise OptionError("--json and --markdown are two forms of the same: give one of them")
    files = list(shipped().values()) if model is None else find(model)
    if markdown:
        tell("\n".join(map(shown, weights_readme(files).split("\n"))), end=False)
        return
    cards = {path: read_card(path) for path in files}
    if as_json:
        models = [
            {**asdict(card), "file": str(path), "parameters": parameters(card.net)}
            for path, card in cards.items()
        ]
        found = {"models": models, "devices": _devices(), "versions": versions()}
        print_json(found)
        return
    _print_models(cards)
    for device in _devices():
        automatic = "--device auto takes it; " if device["auto"] else ""
        automatic += f"--engine auto is {device['engine']}, "
        tell(
            f"{device['name']}: {device['hardware']} "
            f"({automatic}--precision auto is {device['precision']} on it)"
        )
    tell(", ".join(f"{name} {version}" for name, version in versions().items()))


def _print_models(cards: dict[Path, Card]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from srnet.cli.console import print_table
    from srnet.modelcard import parameters

    if not cards:
        tell("no models came with this copy of srnet: give weights files to --model")
        return
    columns = ("model", "scale", "parameters", "version", "made for", "licence", "hours", "halo")
    table = Table(*columns, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for card in cards.values():
        cells = [card.name, f"x{card.scale}", f"{parameters(card.net):,}", str(card.version)]
        cells += [
            card.degradation,
            card.licence or "not stated",
            f"{card.training.hours:.1f}",
            f"{card.halo} px",
        ]
        table.add_row(*(Text(shown(cell)) for cell in cells))
    print_table(table)
    for card in cards.values():
        if card.metrics:
            scores = ", ".join(f"{name} {value:g}" for name, value in card.metrics.items())
            text = shown(f"{card.name}: {scores}")
            tell(textwrap.fill(text, Console().width, subsequent_indent="    "))


def _devices() -> list[dict[str, Any]]:
    """Each device with its hardware and the precision that ``auto`` takes on it."""
    import torch

    from srnet.device import best_device, best_dtype
    from srnet.openvino_engine import preferred

    found = {"cpu": f"{platform.machine()}, {os.cpu_count()} processors"}
    for index in range(torch.cuda.device_count()):
        found[f"cuda:{index}"] = torch.cuda.get_device_name(index)
    if torch.backends.mps.is_available():
        found["mps"] = "Apple GPU"
    best = best_device().type
    return [
        {
            "name": name,
            "hardware": hardware,
            "precision": str(best_dtype(torch.device(name))).removeprefix("torch."),
            "engine": "openvino" if preferred(name) else "torch",
            "auto": name in (best, f"{best}:0"),
        }
        for name, hardware in found.items()
    ]
