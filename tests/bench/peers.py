"""Who runs in the race: srnet, the filters of Pillow, networks of OpenCV and ncnn, any command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import srnet
from tests.bench import runner
from tests.bench.runner import Enlarge


@dataclass(frozen=True)
class Peer:
    """An upscaler: as a command with ``{input}`` and ``{output}``, and as a function."""

    name: str
    command: tuple[str, ...]
    load: Callable[[], Enlarge] | None = None  # None: a command only
    ours: bool = False

    def filled(self, source: Path, target: Path) -> list[str]:
        """The command for one picture."""
        names = {"{input}": str(source), "{output}": str(target)}
        parts = list(self.command)
        for name, path in names.items():
            parts = [part.replace(name, path) for part in parts]
        return parts


def ours(
    models: Iterable[str], engines: Iterable[str], precisions: Iterable[str], scale: int
) -> Iterator[Peer]:
    """srnet with each model, engine and precision; what is ``auto`` is not in the name."""
    for model, engine, precision in product(models, engines, precisions):
        told = [name for name in (engine, precision) if name != "auto"]
        options = {"model": model, "engine": engine, "precision": precision, "scale": scale}
        command = (sys.executable, "-m", "srnet", "upscale", "{input}", "-o", "{output}", "--quiet")
        yield Peer(
            " ".join(["srnet", Path(model).stem, *told]),
            (*command, *(f"--{name}={value}" for name, value in options.items())),
            partial(srnet.load, **options),
            ours=True,
        )


def others(weights: Iterable[Path], scale: int) -> Iterator[Peer]:
    """The filters of Pillow, and OpenCV or ncnn (``.param``) with each file of weights."""
    named = {f"Pillow {kind}": kind for kind in runner.FILTERS}
    for file in weights:
        named[f"{'ncnn' if file.suffix == '.param' else 'OpenCV'} {file.stem}"] = str(file)
    script = (sys.executable, "-I", runner.__file__)
    for name, kind in named.items():
        command = (*script, kind, str(scale), "{input}", "{output}")
        yield Peer(name, command, partial(runner.on_arrays, kind, scale))
