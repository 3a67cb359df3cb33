"""``srnet train``: photographs in, weights file out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from srnet.cli.access import check_writable
from srnet.cli.console import INTERRUPTED, say
from srnet.cli.options import RUN, Device, TrainPrecision, argument, flag, option
from srnet.cli.stopping import stoppable
from srnet.errors import OptionError, OutputError

if TYPE_CHECKING:
    from srnet.card import Data, NetConfig
    from srnet.data import Pixels
    from srnet.patches import Patches
    from srnet.recipe import TrainConfig
    from srnet.train import Run


def train(
    folder: Annotated[Path, argument("FOLDER", "Folder of photographs.")],
    output: Annotated[
        Path,
        option("FILE", "Weights file to write, called NAME-x2.safetensors.", "-o", "--output"),
    ],
    size: Annotated[
        str | None, option("SIZE", "fast, base or large; default base, or that of --start.")
    ] = None,
    features: Annotated[
        int | None, option("INTEGER", "Channels, instead of those of the size.")
    ] = None,
    blocks: Annotated[
        int | None, option("INTEGER", "Residual blocks, instead of those of the size.")
    ] = None,
    degradation: Annotated[
        str, option("NAME", "clean (bicubic) or photo (blur, noise, JPEG).")
    ] = "clean",
    start: Annotated[
        Path | None,
        option("FILE", "Weights to start from, a file or such as photo-x2; another scale is fine."),
    ] = None,
    iterations: Annotated[int, option("INTEGER", "Steps of the optimiser.")] = 20_000,
    batch: Annotated[int, option("INTEGER", "Patches a step, on each process.")] = 16,
    patch: Annotated[int, option("PIXELS", "Side of a low-resolution patch.")] = 48,
    graphics: Annotated[
        float, option("SHARE", "Part of the patches that are drawn text and shapes, 0 to 1.")
    ] = 0.0,
    undamaged: Annotated[
        float, option("SHARE", "Part of the patches of photo that are only shrunk, 0 to 1.")
    ] = 0.33,
    loss: Annotated[
        str,
        option(
            "NAME",
            "What is made small: l1 (mean absolute error) or psnr, which gains more at the end.",
        ),
    ] = "l1",
    optimizer: Annotated[str, option("NAME", "muon or adam.")] = "muon",
    lr: Annotated[float, option("NUMBER", "Peak learning rate; narrow networks bear 3e-3.")] = 1e-3,
    seed: Annotated[int, option("INTEGER", "Seed of weights and patches.")] = 0,
    device: Device = "auto",
    precision: TrainPrecision = "auto",
    compile_: Annotated[bool, flag("--compile", "Compile the network first.", RUN)] = False,
    save_every: Annotated[int, option("STEPS", "Steps between checkpoints.", panel=RUN)] = 250,
    validate: Annotated[
        Path | None, option("FOLDER", "Folder of held-out photographs.", panel=RUN)
    ] = None,
    validate_every: Annotated[
        int, option("STEPS", "Steps between validations.", panel=RUN)
    ] = 2_000,
    manifest: Annotated[
        Path | None, option("FILE", "CSV with the licence of each picture.", panel=RUN)
    ] = None,
    licence: Annotated[
        str | None,
        option(
            "NAME", "Of the weights, for their card; default that of --start, if any.", panel=RUN
        ),
    ] = None,
    logs: Annotated[
        Path | None, option("FOLDER", "Where to put the log and TensorBoard's files.", panel=RUN)
    ] = None,
) -> None:
    """Train a network; the same command goes on where it was cut off.

    Ctrl-C or SIGTERM: the step at work is finished and saved.

    Several GPUs: torchrun --nproc-per-node N -m srnet train ...
    """
    from dataclasses import replace

    from srnet.losses import LOSSES
    from srnet.recipe import TrainConfig, consistent
    from srnet.weights import find_one

    start = start if start is None or start.exists() else find_one(str(start))
    _one_of("degradation", degradation, ("clean", "photo"))
    net = _network(_scale_of(output), size, features, blocks, start)
    net = replace(net, consistent=consistent(output, degradation) and net.base == "bicubic")
    _one_of("loss", loss, tuple(LOSSES))
    _one_of("optimizer", optimizer, ("muon", "adam"))
    config = TrainConfig(
        name=output.stem,
        net=net,
        degradation=degradation,  # type: ignore[arg-type]
        iterations=iterations,
        batch=batch,
        patch=patch,
        graphics=graphics,
        undamaged=undamaged,
        loss=loss,  # type: ignore[arg-type]
        optimizer=optimizer,  # type: ignore[arg-type]
        lr=lr,
        seed=seed,
        device=device,
        precision=precision,  # type: ignore[arg-type]
        compile=compile_,
        save_every=save_every,
        validate_every=validate_every,
    )
    logs = logs or output.with_suffix(".logs")
    _run(config, _Places(folder, output, start, validate, manifest, logs), licence)


def _network(
    scale: int, size: str | None, features: int | None, blocks: int | None, start: Path | None
) -> NetConfig:
    """The network asked for, or that of the weights to start from."""
    from dataclasses import replace

    from srnet.model import SIZES
    from srnet.model import size as sized
    from srnet.weights import read_card

    if size is not None and size not in SIZES:
        raise OptionError(f"unknown size {size!r}: choose one of {', '.join(SIZES)}")
    if start is not None and size is None:
        net = replace(read_card(start).net, scale=scale)
    else:
        net = sized(size or "base", scale)
    return replace(
        net,
        features=net.features if features is None else features,
        blocks=net.blocks if blocks is None else blocks,
    )


@dataclass(frozen=True)
class _Places:
    """The files and folders of a run."""

    pictures: Path
    output: Path
    start: Path | None
    validate: Path | None
    manifest: Path | None
    logs: Path


def _run(config: TrainConfig, places: _Places, licence: str | None) -> None:
    from srnet.device import distributed
    from srnet.train import Run
    from srnet.weights import record

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


def _go_on(run: Run, places: _Places) -> None:
    from srnet.data import describe, load_folder
    from srnet.device import provenance
    from srnet.evaluate import validation
    from srnet.logs import TrainLog
    from srnet.train import train

    config, scale = run.config, run.config.net.scale
    check_writable(places.output.parent, "--output")
    check_writable(places.logs, "--logs")
    pictures = load_folder(places.pictures)
    data = describe(places.pictures, pictures, places.manifest)
    validate = None
    if places.validate is not None:
        validate = validation(places.validate, scale, config.degradation, config.device)
    places.output.parent.mkdir(parents=True, exist_ok=True)
    patches = _patches(run, pictures)
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


def _scale_of(output: Path) -> int:
    stem, _, scale = output.stem.rpartition("-x")
    if output.suffix != ".safetensors" or not stem or scale not in ("2", "3", "4"):
        raise OptionError(
            f"--output must be called <family>-x<2, 3 or 4>.safetensors, not {output.name}"
        )
    return int(scale)


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise OptionError(f"unknown {name} {value!r}: choose one of {', '.join(allowed)}")
