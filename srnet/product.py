"""The two functions that most programs need: load a model, upscale a file."""

from __future__ import annotations

import os
import sys
from dataclasses import fields, replace
from pathlib import Path

from srnet.engine import TorchEngine, Turnstile
from srnet.errors import OptionError
from srnet.files import check_free, write_atomic
from srnet.image import FORMATS, format_for, read_file
from srnet.openvino_engine import OpenVINOEngine, preferred
from srnet.options import Options, OptionWords
from srnet.upscaler import Progress, Upscaler
from srnet.weights import DEFAULT_FAMILY, find

if sys.version_info >= (3, 11):
    from typing import Unpack
else:
    from typing_extensions import Unpack

_EXAMPLES = {"model": DEFAULT_FAMILY, "device": "cpu", "precision": "auto", "engine": "auto"}
ENGINES = ("auto", "torch", "openvino")


def load(
    model: str | Path = DEFAULT_FAMILY,
    *,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    turnstile: Turnstile | None = None,
    **options: Unpack[OptionWords],
) -> Upscaler:
    """An upscaler for a family of weights; nothing heavy happens before its first picture.

    ``model`` is a family (``photo``, ``clean``, ``fast``), one of its members (``photo-x2``)
    or the path of a weights file; ``device`` is auto, cpu, cuda or mps; ``precision`` is
    auto, float32, bfloat16, or int8 with OpenVINO; ``engine`` is auto, torch or openvino (auto
    takes OpenVINO where it is installed, on x86-64 without a GPU). Upscalers that share a
    ``turnstile`` share the device batch by batch. The rest are fields of
    :class:`srnet.options.Options`, for example ``scale=4``; without a size, pictures are enlarged
    by the smallest scale of the model (2).

    Raises:
        OptionError: unknown model, device or option, or a value that could work for no picture.
        WeightsError: a damaged weights file.
    """
    names = {"model": model, "device": device, "precision": precision, "engine": engine}
    for name, value in names.items():
        if not isinstance(value, str | Path if name == "model" else str):
            raise OptionError(f"{name} must be a name, such as {_EXAMPLES[name]!r}, not {value!r}")
    shared = Turnstile() if turnstile is None else turnstile
    make = engine_class(engine, device)
    engines = [make(path, device, precision, shared) for path in find(str(model))]
    return Upscaler(engines, changed(Options(), options))


def engine_class(name: str, device: str) -> type[OpenVINOEngine] | type[TorchEngine]:
    """What runs the networks, by one of :data:`ENGINES`.

    Raises:
        OptionError: there is no engine of that name.
    """
    if name not in ENGINES:
        raise OptionError(f"unknown engine {name!r}: {', '.join(ENGINES)}")
    if name == "auto":
        return OpenVINOEngine if preferred(device) else TorchEngine
    return OpenVINOEngine if name == "openvino" else TorchEngine


def upscale(
    source: str | Path,
    target: str | Path,
    *,
    model: str | Path = DEFAULT_FAMILY,
    device: str = "auto",
    precision: str = "auto",
    engine: str = "auto",
    overwrite: bool = False,
    progress: Progress | None = None,
    **options: Unpack[OptionWords],
) -> Path:
    """Upscale a picture file to another; the suffix of ``target`` says the format.

    ``srnet.upscale("in.jpg", "out.png", scale=4)``. Options, and the size without any, as
    for :func:`load`. The file appears whole or not at all, its folder is made; its path
    comes back.

    Raises:
        SRNetError: bad option, bad picture, ``target`` exists (without ``overwrite``).
    """
    for name, path in (("source", source), ("target", target)):
        if not isinstance(path, str | os.PathLike):
            raise OptionError(
                f"{name} must be a path, not {type(path).__name__}: for arrays, PIL images and "
                "bytes there is srnet.load(...)(picture)"
            )
    source, target = Path(source), Path(target)
    cure = "choose another name, or pass overwrite=True"
    check_free(target, cure, overwrite=overwrite)
    kind = options.get("format") or format_for(target)
    others = [name for name, known in FORMATS.items() if target.suffix.lower() in known.suffixes]
    if kind not in (others or [kind]):
        raise OptionError(f"{target} is called like {others[0]}, but format is {kind}")
    options["format"] = kind
    upscaler = load(model, device=device, precision=precision, engine=engine, **options)
    data = upscaler.upscale_bytes(read_file(source), name=str(source), progress=progress)
    check_free(target, f"{cure}; it has appeared meanwhile", overwrite=overwrite)
    write_atomic(target, data, parents=True)
    return target


def changed(options: Options, changes: OptionWords) -> Options:
    """Options with some fields replaced.

    Raises:
        OptionError: a field that does not exist, or a value that cannot work.
    """
    known = [field.name for field in fields(options)]
    unknown = [name for name in changes if name not in known]
    if unknown:
        raise OptionError(f"unknown option {unknown[0]!r}: there are {', '.join(known)}")
    return replace(options, **changes)
