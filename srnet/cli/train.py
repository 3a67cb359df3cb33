"""``srnet train``: photographs in, weights file out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from srnet.cli.options import RUN, Device, TrainPrecision, argument, flag, option
from srnet.cli.training import Places, carry_out
from srnet.errors import OptionError

if TYPE_CHECKING:
    from srnet.card import NetConfig


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
    flat: Annotated[
        float, option("SHARE", "Part of the patches that are of one colour each, 0 to 1.")
    ] = 0.0,
    undamaged: Annotated[
        float | None,
        option("SHARE", "Part of the patches of photo that are only shrunk, 0 to 1; default 0.33."),
    ] = None,
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

    start = _found(start, output)
    _one_of("degradation", degradation, ("clean", "photo"))
    net = _network(_scale_of(output), size, features, blocks, start)
    net = replace(net, consistent=consistent(output, degradation) and net.base == "bicubic")
    if undamaged is not None and degradation != "photo":
        raise OptionError("--undamaged is for --degradation photo: of clean, no patch is damaged")
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
        flat=flat,
        undamaged=TrainConfig.undamaged if undamaged is None else undamaged,
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
    carry_out(config, Places(folder, output, start, validate, manifest, logs), licence)


def _found(start: Path | None, output: Path) -> Path | None:
    """The weights to start from; those saved last where they are gone and the run goes on.

    Its checkpoint has all that it took from them. What is asked is the size of the network.
    """
    from srnet.weights import find_one

    if start is None:
        return None
    try:
        return find_one(str(start))
    except OptionError:
        if output.is_file() and output.with_suffix(".ckpt").exists():
            return output
        raise


def _network(
    scale: int, size: str | None, features: int | None, blocks: int | None, start: Path | None
) -> NetConfig:
    """The network asked for, or that of the weights to start from."""
    from dataclasses import replace

    from srnet.model import SIZES
    from srnet.model import size as sized
    from srnet.weights import load

    if size is not None and size not in SIZES:
        raise OptionError(f"unknown size {size!r}: choose one of {', '.join(SIZES)}")
    if start is not None and size is None:
        _, card = load(start)  # which holds the card to the tensors: it may ask for any size
        net = replace(card.net, scale=scale)
    else:
        net = sized(size or "base", scale)
    return replace(
        net,
        features=net.features if features is None else features,
        blocks=net.blocks if blocks is None else blocks,
    )


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
