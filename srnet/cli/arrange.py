"""From the arguments of ``srnet upscale`` to its jobs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from srnet.cli.access import check_writable
from srnet.cli.console import say
from srnet.cli.options import STREAM
from srnet.errors import OptionError
from srnet.files import check_name
from srnet.image import FORMATS, SUFFIXES, check_options, format_for
from srnet.naming import Job, check_present, find, plan, refuse_clashes, residual_name
from srnet.options import Options
from srnet.upscaler import Upscaler


def arrange(
    inputs: Sequence[str],
    output: str | None,
    upscaler: Upscaler,
    options: Options,
    pattern: str | None,
    model: str,
    residuals: Path | None,
) -> tuple[list[Job], list[str]]:
    """The jobs, and what in the folders is no picture.

    Raises:
        OptionError: inputs are missing, or inputs and output do not go together.
    """
    for name in (*inputs, STREAM if output is None else output):
        if not name:  # to a path it would be this folder
            raise OptionError("an input or -o is empty, as of a variable that is not set: name it")
        check_name(Path(name))
    if residuals is not None:
        check_writable(residuals, "--residual")
    if STREAM in inputs or output == STREAM or _names_file(output, inputs):
        if pattern is not None:
            raise OptionError("--name is for output folders: here -o says the name")
        return [_single(inputs, output, options, residuals)], []
    if output is None:
        raise OptionError("give -o: a file, a folder, or - for standard output")
    folder = Path(output)
    check_writable(folder)
    found, ignored = find(
        [Path(name) for name in inputs], [folder] if residuals is None else [folder, residuals]
    )
    fields = _fields(upscaler, options, model)
    jobs = plan(
        found,
        folder,
        options,
        pattern=pattern or "{stem}{suffix}",
        fields=fields,
        residuals=residuals,
    )
    return jobs, [str(path) for path in ignored]


def note_unused(jobs: Sequence[Job], options: Options) -> None:
    """Say which options mean nothing to the formats of the results, where these are known."""
    kinds = {job.format or options.format for job in jobs}
    if not kinds or None in kinds:
        return
    heeded = {name for kind in kinds if kind for name in FORMATS[kind].heeds}
    default = Options()
    for name in ("quality", "subsampling", "png_level", "background"):
        if name not in heeded and getattr(options, name) != getattr(default, name):
            flag = f"--{name.replace('_', '-')}"
            say(f"srnet: note: {flag} means nothing to {', '.join(sorted(filter(None, kinds)))}")


def _names_file(output: str | None, inputs: Sequence[str]) -> bool:
    """Whether ``output`` is called like a picture; that of one file, like any file."""
    path = Path(output or "")
    if not path.suffix or str(output).endswith(("/", os.sep)) or path.is_dir():
        return False
    return path.suffix.lower() in SUFFIXES or (len(inputs) == 1 and not Path(inputs[0]).is_dir())


def _single(
    inputs: Sequence[str], output: str | None, options: Options, residuals: Path | None
) -> Job:
    """One picture, from or to a stream or to a file with a name."""
    if len(inputs) > 1 and STREAM in inputs:
        raise OptionError(
            "standard input (-) has to be the only input: leave out the others, or it"
        )
    if len(inputs) != 1 or (inputs[0] != STREAM and Path(inputs[0]).is_dir()):
        raise OptionError(f"{output or STREAM} can take one picture only: give a folder to -o")
    source = None if inputs[0] == STREAM else Path(inputs[0])
    if source is not None:
        check_present([source])
    if output in (None, STREAM):
        target, kind = None, options.format
        if sys.stdout is None:
            raise OptionError("standard output is closed: give -o FILE, or redirect it")
        if sys.stdout.isatty():
            raise OptionError("standard output is a terminal: give -o FILE, or redirect it")
    elif _names_file(output, inputs):
        target, kind = Path(output), _format_for(output)
        check_writable(target.parent)
        if options.format not in (None, kind):
            raise OptionError(f"{output} is called like {kind}, but --format is {options.format}")
        check_options(kind, options.quality, bool(options.lossless), options.background)
    else:
        folder = str(output).endswith(("/", os.sep)) or Path(output).is_dir()
        example = Path(output) / "picture.png" if folder else f"{output}.png"
        raise OptionError(f"give -o the name of a picture, such as {example}, or -")
    name = (target or source or Path("standard-input")).name
    residual = None if residuals is None else residuals / residual_name(name)
    job = Job(source, target, kind, residual, None if source else _standard_input())
    refuse_clashes([job])
    return job


def _format_for(output: str) -> str:
    try:
        return format_for(Path(output))
    except OptionError as error:
        raise OptionError(f"{error}; or, for a folder, give -o {output}/") from error


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise OptionError("standard input is closed: redirect a picture into it")
    if sys.stdin.isatty():
        raise OptionError("standard input is a terminal: redirect a picture into it")
    return sys.stdin.buffer.read()


def _fields(upscaler: Upscaler, options: Options, model: str) -> dict[str, str]:
    """What {scale} and {model} stand for; the scale is not known with a target size."""
    fields = {"model": Path(model).name.removesuffix(".safetensors")}
    if options.scale is not None:
        fields["scale"] = f"{options.scale:g}"
    elif (options.width, options.height, options.fit) == (None, None, None):
        fields["scale"] = str(min(upscaler.engines))
    return fields
