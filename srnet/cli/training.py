"""One run of ``srnet train``: begun or gone on with, from its files to its last words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from srnet.cli.access import check_writable
from srnet.cli.console import INTERRUPTED, say
from srnet.cli.stopping import stoppable
from srnet.errors import OptionError, OutputError

if TYPE_CHECKING:
    from srnet.card import Data
    from srnet.data import Pixels
    from srnet.patches import Patches
    from srnet.recipe import TrainConfig
    from srnet.train import Run


@dataclass(frozen=True)
class Places:
    """The files and folders of a run."""

    pictures: Path
    output: Path
    start: Path | None
    validate: Path | None
    manifest: Path | None
    logs: Path


def carry_out(config: TrainConfig, places: Places, licence: str | None) -> None:
    """Train until all iterations are done or the user stops it, and say so.

    Raises:
        Exit: it was stopped, with the code for that.
        SRNetError: the folders, the weights to start from, or the checkpoint cannot be used.
    """
    from srnet.device import distributed, keep_freed_memory
    from srnet.train import Run
    from srnet.weights import record

    keep_freed_memory()
    output = places.output
    with distributed(config.device):
        run = Run(config, places.start)
        if output.with_suffix(".ckpt").exists():
            run.restore(output.with_suffix(".ckpt"))
        elif output.exists():
            raise OutputError(f"{output} exists and has no checkpoint: choose another --output")
        if licence is not None:
            run.licence = licence
        missing = not output.exists() or (places.validate is not None and run.to_validate)
        if run.iteration < config.iterations or missing:
            _go_on(run, places)
        elif run.rank == 0:
            if licence is not None:
                record(output, {}, licence)
            say(f"srnet: {output} is finished: all {run.iteration} iterations were done before")
    if run.iteration < config.iterations:
        raise typer.Exit(INTERRUPTED)


def _go_on(run: Run, places: Places) -> None:
    from srnet.data import describe
    from srnet.device import provenance
    from srnet.evaluate import validation
    from srnet.logs import TrainLog
    from srnet.train import train

    config, scale = run.config, run.config.net.scale
    check_writable(places.output.parent, "--output")
    check_writable(places.logs, "--logs")
    pictures = _pictures(run, places)
    data = describe(places.pictures, pictures, places.manifest)
    validate = None
    if places.validate is not None:
        validate = validation(places.validate, scale, config.degradation, config.device)
    places.output.parent.mkdir(parents=True, exist_ok=True)
    patches = _patches(run, list(pictures.values()))
    commit, hardware = provenance(run.device)
    if run.rank == 0:
        _introduce(run, places.pictures, data, places.start)
    quiet = run.rank != 0
    with TrainLog(places.logs, config.iterations, quiet) as log, stoppable() as stopping:
        train(
            run,
            patches,
            places.output,
            data=data,
            commit=commit,
            hardware=hardware,
            validate=validate,
            report=log.write,
            stopping=stopping,
        )
    if run.rank == 0:
        _conclude(run, places.output)


def _pictures(run: Run, places: Places) -> dict[Path, Pixels]:
    """Those that are large enough, by file; a run that goes on has to have had the same."""
    from srnet.data import content_hash, load_folder
    from srnet.patches import fits

    config, output = run.config, places.output
    found = load_folder(places.pictures)
    size = (config.net.scale, config.patch, config.degradation)
    pictures = {file: picture for file, picture in found.items() if fits(picture, *size)}
    left_out = len(found) - len(pictures)
    if left_out and run.rank == 0:
        say(
            f"srnet: left out as too small for patches of {config.patch}: {left_out} of "
            f"{len(found)} pictures"
        )
    known = content_hash(pictures)
    if run.pictures not in ("", known):
        raise OptionError(
            f"{output} was trained on other pictures than those in {places.pictures}: give the old "
            f"ones to go on, or choose another --output, with --start {output} to begin from it"
        )
    run.pictures = known
    return pictures


def _patches(run: Run, pictures: list[Pixels]) -> Patches:
    from srnet.patches import Patches

    config = run.config
    return Patches(
        pictures,
        config.net.scale,
        config.patch,
        config.batch,
        config.degradation,
        config.seed,
        config.graphics,
        run.device,
        config.undamaged,
        config.flat,
    )


def _introduce(run: Run, folder: Path, data: Data, start: Path | None) -> None:
    """What is trained, on what, and from where on."""
    config, net = run.config, run.config.net
    parameters = sum(p.numel() for p in run.net.parameters())
    if run.iteration:
        origin = f"goes on after iteration {run.iteration} of {config.iterations}"
    else:
        weights = "a fresh network" if start is None else str(start)
        origin = f"{config.iterations} iterations from {weights}"
    say(
        f"srnet: {config.name}: {net.features} features, {net.blocks} blocks, {parameters:,} "
        f"parameters; {data.pictures} pictures ({data.megapixels} megapixels) of {folder}, "
        f"{config.degradation}; {run.device}, {str(run.dtype).removeprefix('torch.')}; {origin}"
    )


def _conclude(run: Run, output: Path) -> None:
    """How it ended, and where the weights are."""
    done, asked = run.iteration, run.config.iterations
    if done < asked:
        say(
            f"srnet: interrupted after iteration {done} of {asked}: {output} has the weights so "
            "far, the same command goes on"
        )
    else:
        say(f"srnet: wrote {output} ({done} iterations, {run.seconds / 3600:.2f} h)")
