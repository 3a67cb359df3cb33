"""Which pictures to work on, and what the results are called. Nothing is written here."""

from __future__ import annotations

import os
import stat
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from srnet.container import SIGNATURE, format_of
from srnet.errors import OptionError, PictureError
from srnet.identity import identity
from srnet.image import FORMATS, SUFFIXES, read_file, read_header
from srnet.options import Options
from srnet.output import output_format

FIELDS = ("stem", "suffix", "ext", "scale", "model")  # that a pattern may use
# Kinds of files that are taken from folders: no pipes or devices, nor links to them. Of 0, see
# `_mode`, reading will tell why.
_READABLE = (stat.S_IFREG, 0)


@dataclass(frozen=True)
class Found:
    """An input file."""

    path: Path
    folder: Path = Path()  # relative, to be made again under the output folder
    named: bool = True  # by the user; else it was found in a folder


@dataclass(frozen=True)
class Job:
    """One picture to make."""

    source: Path | None  # None: standard input
    target: Path | None  # None: standard output
    format: str | None = None  # None: that of the input
    residual: Path | None = None  # where to put a picture of what the network added
    data: bytes | None = field(default=None, repr=False)  # of standard input

    def read(self) -> bytes:
        """The bytes of the picture.

        Raises:
            PictureError: the file cannot be read.
        """
        if self.data is None and self.source is not None:
            return read_file(self.source)
        return self.data or b""


def check_present(inputs: Iterable[Path]) -> None:
    """Refuse inputs that are not there.

    Raises:
        OptionError: the message names them all.
    """
    missing = [str(path) for path in inputs if not os.path.lexists(path)]
    if missing:
        raise OptionError(f"there is no {', no '.join(missing)}: check the path")


def find(inputs: Sequence[Path], leave_out: Iterable[Path] = ()) -> tuple[list[Found], list[Path]]:
    """The pictures among ``inputs`` (files and folders), and what else was there: ignored.

    A named file is always taken. Folders are searched through and through, sorted by name,
    for suffixes of pictures; hidden files and folders and the folders ``leave_out`` are
    passed by, and links to folders are ignored. A folder that cannot be read is taken
    as if it were a file, so that reading it gives the reason; so is a picture in a folder
    that may be listed, but not entered.

    Raises:
        OptionError: an input is missing.
    """
    check_present(inputs)
    skipped = {os.path.realpath(folder) for folder in leave_out}
    found: dict[tuple[Path, Path], Found] = {}
    ignored: list[Path] = []
    for path in inputs:
        for item in _walk(path, skipped) if path.is_dir() else [Found(path)]:
            if isinstance(item, Path):
                ignored.append(item)
            else:
                found.setdefault((item.path.absolute(), item.folder), item)
    return list(found.values()), ignored


def _walk(root: Path, skipped: set[str]) -> Iterator[Found | Path]:
    """The pictures under ``root``; of what is none, and of links to folders, the mere path."""
    unreadable: list[Path] = []

    def note(error: OSError) -> None:
        unreadable.append(Path(error.filename))

    for place, folders, files in os.walk(root, onerror=note):
        here = Path(place)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(here / name) not in skipped
        )
        for name in folders:
            if stat.S_ISLNK(_mode(here / name, follow=False)):  # to a circle, or out of the tree
                yield here / name
        for name in sorted(files):
            path = here / name
            picture = path.suffix.lower() in SUFFIXES and not name.startswith(".")
            usable = picture and stat.S_IFMT(_mode(path)) in _READABLE
            yield Found(path, here.relative_to(root), named=False) if usable else path
    for path in unreadable:
        yield Found(path, path.parent.relative_to(root) if path != root else Path(), named=False)


def _mode(path: Path, *, follow: bool = True) -> int:
    """What kind of file it is, or is linked to; 0 where that may not be looked at."""
    try:
        return path.stat(follow_symlinks=follow).st_mode
    except OSError:
        return 0


def check_pattern(pattern: str, fields: Mapping[str, str]) -> None:
    """Refuse a pattern for names that cannot work with these ``fields``.

    Raises:
        OptionError: an unknown or unavailable placeholder, or no {suffix} at the end.
    """
    try:
        parts = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise OptionError(f"--name {pattern!r}: {error}") from error
    for _, name, spec, conversion in parts:
        if name is not None and (name not in FIELDS or spec or conversion):
            known = ", ".join(f"{{{field}}}" for field in FIELDS)
            raise OptionError(f"--name: unknown placeholder {{{name}}}; there are {known}")
        if name in FIELDS and name not in (*fields, "stem", "suffix", "ext"):
            raise OptionError(f"--name: {{{name}}} is only known with --scale")
    if not pattern.endswith("{suffix}") or {"/", os.sep} & set(pattern):
        raise OptionError("--name must end with {suffix}, and cannot hold folders")


def plan(
    found: Sequence[Found],
    folder: Path,
    options: Options,
    *,
    pattern: str = "{stem}{suffix}",
    fields: Mapping[str, str] | None = None,
    residuals: Path | None = None,
) -> list[Job]:
    """A job for each picture, its target under ``folder`` in the same tree.

    A target keeps the suffix of its source where that says the right format. ``fields`` has
    the values of {scale} and {model}; ``residuals`` is a folder for pictures of what the
    network added. Earlier results and residuals of the same command among the inputs are left
    out.

    Raises:
        OptionError: a wrong pattern, or two pictures with one target.
    """
    values = dict(fields or {})
    check_pattern(pattern, values)
    jobs = [_job(item, folder, options, pattern, values, residuals) for item in found]
    maker = {identity(job.target): job for job in jobs if job.target}
    added = {identity(job.residual) for job in jobs if job.residual}
    kept = []
    for item, job in zip(found, jobs, strict=True):
        other = maker.get(identity(item.path), job)
        made = other is not job and not _same(other.target, job.target)
        if item.named or not (made or identity(item.path) in added):
            kept.append(job)
    refuse_clashes(kept)
    return kept


def refuse_clashes(jobs: Sequence[Job]) -> None:
    """Refuse jobs that would write over each other's files, or over what is read.

    Names that differ in case or in Unicode normal form only count as one where the disk may
    take them for one; see :func:`srnet.identity.identity`.

    Raises:
        OptionError: the message names both pictures.
    """
    made: dict[str, Job] = {}
    clashes: list[tuple[Job, Job]] = []
    readers: dict[str, list[Job]] = {}
    for job in jobs:
        for key in _read_by(job):
            readers.setdefault(key, []).append(job)
    outputs = [(path, job) for job in jobs for path in (job.target, job.residual) if path]
    for path, job in outputs:
        other = made.setdefault(identity(path), job)
        if other is not job and _same(job.target, other.target):
            clashes += [(other, job)] if path is job.target else []
        elif other is not job:
            raise OptionError(
                f"{path} would be a result and a residual, of {other.source} and {job.source}: "
                "choose another folder for --residual"
            )
        for reader in readers.get(identity(path), []):
            if reader is not job or path is job.residual:
                raise OptionError(_overwritten(path, job, reader))
    if clashes:
        first, second = clashes[0]
        more = f" ({len(clashes) - 1} more like this)" if clashes[1:] else ""
        raise OptionError(
            f"{first.source} and {second.source} would both become {second.target}{more}: "
            + _cure(first, second)
        )


def _read_by(job: Job) -> set[str]:
    """The input of a job, and what it links to."""
    if job.source is None:
        return set()
    return {identity(job.source), identity(Path(os.path.realpath(job.source)))}


def _overwritten(path: Path, job: Job, reader: Job) -> str:
    kind = "result" if path is job.target else "residual"
    same = reader.source is None or identity(reader.source) == identity(path)
    what = "is an input itself" if same else f"is what {reader.source} links to"
    return f"{path}, the {kind} of {job.source}, {what}: choose another folder"


def is_touched(path: Path, jobs: Iterable[Job]) -> bool:
    """Whether a job reads or makes the file of that path."""
    key = identity(path)
    every = (path for job in jobs for path in (job.source, job.target, job.residual))
    return any(key == identity(other) for other in every if other)


def _cure(first: Job, second: Job) -> str:
    """How two pictures with one target can both be made."""
    a, b = first.source or Path(), second.source or Path()
    folder = (first.target or Path()).parent  # on its disk they have to differ
    if identity(folder / f"{a.stem}-{a.suffix}") != identity(folder / f"{b.stem}-{b.suffix}"):
        return "tell them apart with --name '{stem}-{ext}{suffix}'"
    if identity(a.parent) != identity(b.parent):
        with suppress(ValueError):  # two drives of Windows
            both = os.path.relpath(os.path.commonpath([a.parent.absolute(), b.parent.absolute()]))
            return (
                f"give the folder that holds both ({both}) as the input, as the tree "
                "of a folder is kept, or upscale them one by one with an -o for each"
            )
    return "rename one, or upscale them one by one with an -o for each"


def _job(
    item: Found,
    folder: Path,
    options: Options,
    pattern: str,
    values: dict[str, str],
    residuals: Path | None,
) -> Job:
    kind = result_format(item.path, options)
    suffix = item.path.suffix
    if suffix.lower() not in FORMATS[kind].suffixes:
        suffix = FORMATS[kind].suffix
    name = pattern.format(
        stem=item.path.stem, suffix=suffix, ext=item.path.suffix.removeprefix("."), **values
    )
    residual = None if residuals is None else residuals / item.folder / residual_name(name)
    return Job(item.path, folder / item.folder / name, kind, residual)


def residual_name(name: str) -> str:
    """The picture of the residual of a result called ``name``; two never share it."""
    return f"{name}.residual.png"


def result_format(path: Path, options: Options) -> str:
    """The format that the result for a file will have, from as little of it as possible.

    A file that cannot be read counts as PNG; working on it will tell why. So does a pipe,
    which can be read only once.
    """
    if options.format is not None:
        return options.format
    try:
        if not path.is_file():
            return "png"
        with path.open("rb") as file:
            kind, frames = format_of(file.read(SIGNATURE)) or "", 1
        if kind in ("GIF", "AVIF"):  # a still or an animation: the formats differ
            frames = read_header(read_file(path), str(path)).frames
    except (OSError, PictureError):
        return "png"
    return output_format(kind, frames, options)


def _same(a: Path | None, b: Path | None) -> bool:
    return a is not None and b is not None and identity(a) == identity(b)
