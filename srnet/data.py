"""A folder of photographs: its pixels, and what a card says of it."""

from __future__ import annotations

import csv
import hashlib
import os
import stat
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from srnet.card import Data
from srnet.errors import DataError, PictureError
from srnet.image import SUFFIXES, decode

Pixels = npt.NDArray[np.uint8]
_MOST_REASONS = 5  # that a message holds


def load_folder(folder: Path) -> dict[Path, Pixels]:
    """Decode every picture under ``folder``, sorted by path, to ``(H, W, 3)`` uint8, by file.

    Raises:
        DataError: no pictures there, or some that cannot be read, of which it names the first.
    """
    files = find_pictures(folder)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(_read_or_reason, files))
    reasons = [each for each in found if isinstance(each, str)]
    if reasons:
        more = f"; and {len(reasons) - _MOST_REASONS} more" if len(reasons) > _MOST_REASONS else ""
        raise DataError("; ".join(reasons[:_MOST_REASONS]) + more)
    return {
        file: each for file, each in zip(files, found, strict=True) if not isinstance(each, str)
    }


def _read_or_reason(file: Path) -> Pixels | str:
    try:
        return read_rgb8(file)
    except DataError as error:
        return str(error)


def find_pictures(folder: Path) -> list[Path]:
    """The picture files anywhere under ``folder``, sorted by path; hidden ones are passed by.

    Raises:
        DataError: there are none, or no such folder, or one under it cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}: check the path")
    files = pictures_under(folder)
    if not files:
        raise DataError(f"no pictures under {folder}: give a folder of photographs")
    return files


def pictures_under(folder: Path) -> list[Path]:
    """As :func:`find_pictures`, where there may be none.

    Raises:
        DataError: a folder cannot be read: without its pictures, every figure would be another.
    """
    files: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        here = [Path(place, name) for name in names if not name.startswith(".")]
        files += [file for file in here if file.suffix.lower() in SUFFIXES and _has_end(file)]
    return sorted(files)


def _unreadable(error: OSError) -> None:
    raise DataError(
        f"cannot read the folder {error.filename} ({error.strerror}): change its permissions, or "
        "move it away"
    ) from error


def _has_end(file: Path) -> bool:
    """Whether it is no pipe or device; of what may not be looked at, reading will tell why."""
    try:
        return stat.S_ISREG(file.stat().st_mode)
    except OSError:
        return True


def read_rgb8(file: Path) -> Pixels:
    """A picture file as uint8 ``(H, W, 3)``; grey becomes three equal channels.

    Raises:
        DataError: it cannot be read.
    """
    try:
        rgb = decode(file.read_bytes(), str(file))[0].rgb
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}; move it out of the folder") from error
    except PictureError as error:
        raise DataError(f"{error}; or move it out of the folder") from error
    if rgb.dtype != np.uint8:
        rgb = ((rgb.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(rgb, (*rgb.shape[:2], 3)))


def content_hash(files: Iterable[Path]) -> str:
    """One SHA-256 for the contents of files in their order, whatever they are called."""
    whole = hashlib.sha256()
    for file in files:
        whole.update(hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()


def describe(folder: Path, pictures: Mapping[Path, Pixels], manifest: Path | None) -> Data:
    """What the card says of a training set; licences come from the rows of the manifest.

    ``pictures`` are those that it is trained on, by their files under ``folder``. The manifest is a
    CSV file with the columns ``file`` and ``licence``. A picture is found by its path in the
    folder, which may be the end of a longer one, or by its name where no other picture there is
    called so.

    Raises:
        DataError: a manifest that cannot be read, or does not list a picture.
    """
    megapixels = sum(p.shape[0] * p.shape[1] for p in pictures.values()) / 1e6
    if manifest is None:
        return Data(len(pictures), round(megapixels, 1))
    try:
        text = manifest.read_bytes()
        rows = csv.DictReader(text.decode("utf-8-sig").splitlines())
        listed = {Path(row["file"]): row["licence"] for row in rows if row["licence"]}
    except OSError as error:
        raise DataError(f"{manifest}: {error.strerror}: check the path") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(
            f"{manifest} is no CSV file in UTF-8 with the columns file and licence ({error})"
        ) from error
    names = Counter(file.name for file in find_pictures(folder))
    files = [file.relative_to(folder) for file in pictures]
    licences, unlisted = _licences(files, names, listed)
    if unlisted:
        raise DataError(
            f"{manifest} does not list {unlisted[0]} with a licence ({len(unlisted)} in all)"
        )
    return Data(
        pictures=len(pictures),
        megapixels=round(megapixels, 1),
        manifest=manifest.name,
        manifest_sha256=hashlib.sha256(text).hexdigest(),
        licences=tuple(sorted(licences)),
    )


def _licences(
    files: list[Path], names: Mapping[str, int], listed: dict[Path, str]
) -> tuple[set[str], list[Path]]:
    """The licences of files, as a manifest lists them, and the files that it does not list.

    ``names`` says how many files are called so.
    """
    by_name: dict[str, list[Path]] = {}
    for path in listed:
        by_name.setdefault(path.name, []).append(path)
    found: set[str] = set()
    unlisted = []
    for file in files:
        called = by_name.get(file.name, [])
        there = [path for path in called if path.parts[-len(file.parts) :] == file.parts]
        meant = {listed[path] for path in there or (called if names[file.name] == 1 else [])}
        if len(meant) == 1:
            found |= meant
        else:
            unlisted.append(file)
    return found, unlisted
