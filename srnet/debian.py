"""Rebuild the pictures of the training set that Debian packages provide.

Each of them is a crop of a wallpaper: the photograph is reduced by a whole number with
Pillow's bicubic (twice where its note says ``soft``), cut, and written as AVIF, 4:4:4, quality
94, speed 8, two threads. With the same encoder that gives the same file, bit for bit. An encoder of
another version gives other bytes from the same crop, so ``weights/debian.csv`` keeps the hash of
the crop before encoding and of the source file too, and tells which of them is at fault.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path
from typing import Literal

import PIL.Image

from srnet.errors import DataError
from srnet.files import write_atomic
from srnet.pillow import FOREIGN

PREFIX = "Debian "  # of the sources in the manifest
_COLUMNS = ("file", "width", "height", "x", "y", "source", "origin", "note", "sha256")
RECORDED = ("file", "package", "source_sha256", "crop_sha256")  # see Facts
Outcome = Literal["identical", "same pixels", "differs", "missing"]

_DAMAGED = (*FOREIGN, StopIteration, tarfile.TarError, LZMAError)  # what reading such a file raises
_PARTS = re.compile(r"(?s)\A(?:(\d+):)?(.*?)(?:-([^-]*))?\Z")  # epoch, version, revision
_PIECES = re.compile(r"(\D*)(\d*)")
_ORDER = str.maketrans("~+-.:", " {|}~")  # so that ~ sorts before "!", an end, and these after z
_NOTE = re.compile(r"(\d+)x(\d+) original, /([1-9])")  # size of the source, how far reduced

# the encoder gives other bytes with other threads, so their number is fixed too
_AVIF = {"quality": 94, "speed": 8, "subsampling": "4:4:4", "max_threads": 2}


@dataclass(frozen=True)
class Facts:
    """What was true of one picture when the set was made: a row of ``debian.csv``."""

    file: str
    package: str  # name_version of the archive
    source_sha256: str  # of the file in the package
    crop_sha256: str  # of the bytes of the crop, RGB, before encoding


@dataclass(frozen=True)
class Result:
    """What became of one picture."""

    facts: Facts
    outcome: Outcome
    reason: str = ""


def read_manifest(path: Path) -> list[dict[str, str]]:
    """The rows of a manifest: :data:`_COLUMNS`, and what else it has.

    Raises:
        DataError: it cannot be read, lacks a column, lists nothing, or has a row that leads out
            of the folder of the set or does not say what part of a picture it is.
    """
    rows = _rows(path, _COLUMNS)
    if not rows:
        raise DataError(f"{path} lists no pictures: give the manifest of a training set")
    for number, row in enumerate(rows, 1):
        file = Path(row["file"])
        if not file.name or file.anchor or ".." in file.parts or "\0" in row["file"]:
            raise DataError(
                f"{path}: row {number}: file is {row['file']!r}: give a path in the folder"
            )
        for name, least in (("x", 0), ("y", 0), ("width", 1), ("height", 1)):
            if not row[name].isdecimal() or int(row[name]) < least:
                raise DataError(
                    f"{path}: row {number}: {name} is {row[name]!r}: give a whole number of "
                    f"pixels, at least {least}"
                )
        if row["source"].startswith(PREFIX) and not _NOTE.match(row["note"]):
            raise DataError(
                f"{path}: row {number}: note is {row['note']!r}: begin it with the size of the "
                "source and how far it is reduced, as in '3000x2000 original, /2'"
            )
    return rows


def known_facts(path: Path) -> dict[str, Facts]:
    """``debian.csv`` by file; empty where there is none.

    Raises:
        DataError: it cannot be read, or lacks a column.
    """
    if not path.exists():
        return {}
    rows = _rows(path, RECORDED)
    return {row["file"]: Facts(**{name: row[name] for name in RECORDED}) for row in rows}


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file, each of which has these columns and perhaps more."""
    try:
        rows = list(csv.DictReader(path.read_text("utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    for number, row in enumerate(rows, 1):
        lacking = [name for name in columns if row.get(name) is None]
        if lacking:
            raise DataError(
                f"{path}: row {number} has no {', '.join(lacking)}: give a CSV file with the "
                f"columns {', '.join(columns)}"
            )
    return rows


def write_facts(path: Path, results: list[Result]) -> None:
    """Write ``debian.csv``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(RECORDED)
    writer.writerows([getattr(result.facts, name) for name in RECORDED] for result in results)
    write_atomic(path, text.getvalue().encode(), parents=True)


def packages(rows: list[dict[str, str]]) -> list[str]:
    """The packages that some rows of a manifest come from, sorted."""
    sources = {row["source"] for row in rows if row["source"].startswith(PREFIX)}
    return sorted(source.removeprefix(PREFIX) for source in sources)


def archive_of(package: str, folder: Path, download: bool) -> Path | None:
    """``<package>_<version>_<architecture>.deb`` in a folder; fetched by apt-get if asked.

    Raises:
        DataError: apt-get is not there, or does not find the package.
    """
    if download and _newest(folder, package) is None:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["apt-get", "download", package]
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)  # noqa: S603
        except FileNotFoundError as error:
            raise DataError(
                "there is no apt-get here: fetch the packages from https://packages.debian.org"
            ) from error
        except subprocess.CalledProcessError as error:
            raise DataError(f"{' '.join(command)} failed: {error.stderr.strip()}") from error
    return _newest(folder, package)


def _newest(folder: Path, package: str) -> Path | None:
    found = folder.glob(f"{package}_*.deb")
    return max(found, key=lambda file: (_version(file.stem), file.name), default=None)


def _version(name: str) -> list[list[tuple[str, int]]]:
    """Of a package, as a key that sorts as Debian does: 10 after 9, ``1~rc`` before ``1``."""
    version = name.split("_")[1].replace("%3a", ":")
    return [
        [(f"{text.translate(_ORDER)}!", int(number or 0)) for text, number in _PIECES.findall(part)]
        for part in _PARTS.findall(version)[0]
    ]


def members(archive: Path, wanted: set[str]) -> dict[str, bytes]:
    """Files of a Debian package by path, without its leading ``./``.

    Raises:
        DataError: not a package, or cut off, or compressed in a way that Python cannot undo.
    """
    try:
        _, data = next(part for part in _parts(archive) if part[0].startswith("data.tar"))
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            found = {}
            for member in tar:
                path = member.name.removeprefix("./")
                if path in wanted and (file := tar.extractfile(member)):
                    found[path] = file.read()
            tar.fileobj.read(-1)  # to its end, where the checksum lies
            return found
    except _DAMAGED as error:
        reason = str(error) or "it has no files"
        raise DataError(
            f"{archive} cannot be read as a Debian package ({reason}): delete it and fetch it again"
        ) from error


def _parts(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of an ``ar`` archive, which is what a package is."""
    data = archive.read_bytes()
    if not data.startswith(b"!<arch>\n"):
        raise ValueError("no ar archive")
    place = 8
    while place + 60 <= len(data):
        header = data[place : place + 60]
        size = int(header[48:58])
        yield header[:16].decode().strip().rstrip("/"), data[place + 60 : place + 60 + size]
        place += 60 + size + size % 2


def rebuild(
    rows: list[dict[str, str]],
    output: Path,
    archives: Callable[[str], Path | None],
    known: dict[str, Facts],
) -> Iterator[Result]:
    """Make the pictures of some rows of the manifest under ``output``, package by package."""
    for package in packages(rows):
        own = [row for row in rows if row["source"] == PREFIX + package]
        archive = archives(package)
        try:
            if archive is None:
                raise DataError("no such package")
            contents = members(archive, {row["origin"] for row in own})
        except DataError as error:  # the other packages go on
            for row in own:
                yield _missing(row, package, str(error))
            continue
        version = archive.name.rsplit("_", 1)[0].replace("%3a", ":")
        for row in own:
            source = contents.get(row["origin"])
            if source is None:
                yield _missing(row, version, f"{version} has no {row['origin']}")
                continue
            try:
                yield _rebuilt(row, source, version, output, known)
            except DataError as error:
                yield _missing(row, version, f"{archive}: {error}")


def _missing(row: dict[str, str], package: str, reason: str) -> Result:
    return Result(Facts(row["file"], package, "", ""), "missing", reason)


def _rebuilt(
    row: dict[str, str], source: bytes, package: str, output: Path, known: dict[str, Facts]
) -> Result:
    crop = cut(source, row)
    facts = Facts(row["file"], package, _sha256(source), _sha256(crop.tobytes()))
    file = encoded(crop)
    write_atomic(output / row["file"], file, parents=True)
    if _sha256(file) == row["sha256"]:
        return Result(facts, "identical")
    before = known.get(row["file"])
    if before is None:
        return Result(facts, "differs", "the crop was never recorded")
    if before.crop_sha256 == facts.crop_sha256:
        return Result(facts, "same pixels", "another AVIF encoder")
    if before.source_sha256 == facts.source_sha256:
        return Result(facts, "differs", "another JPEG decoder or another bicubic")
    return Result(facts, "differs", f"{before.package} had another file than {package}")


def cut(source: bytes, row: dict[str, str]) -> PIL.Image.Image:
    """The crop of one row of the manifest, RGB, before it is encoded.

    Raises:
        DataError: the source is damaged, or has another size than the row says, or the crop is
            not in it.
    """
    note = _NOTE.match(row["note"])
    try:
        with PIL.Image.open(io.BytesIO(source)) as opened:
            picture = opened.convert("RGB")
    except FOREIGN as error:
        raise DataError(
            f"{row['origin']} cannot be decoded: delete the package and fetch it again"
        ) from error
    if note is None or picture.size != (int(note[1]), int(note[2])):
        raise DataError(
            f"{row['origin']} has {picture.width} x {picture.height} pixels, "
            f"which does not fit the note {row['note']!r}"
        )
    again = re.search(r"soft->extra /([1-9])", row["note"])
    for factor in (int(note[3]), int(again[1]) if again else 1):
        if factor > 1:
            size = (picture.width // factor, picture.height // factor)
            picture = picture.resize(size, PIL.Image.Resampling.BICUBIC)
    x, y, width, height = (int(row[name]) for name in ("x", "y", "width", "height"))
    if x + width > picture.width or y + height > picture.height:
        raise DataError(f"{row['origin']} has no {width} x {height} pixels at {x}, {y}")
    return picture.crop((x, y, x + width, y + height))


def encoded(crop: PIL.Image.Image) -> bytes:
    """The crop as the training set has it."""
    file = io.BytesIO()
    crop.save(file, "AVIF", **_AVIF)
    return file.getvalue()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
