"""Which paths are one file, and which would be."""

from __future__ import annotations

import os
import unicodedata
from functools import cache
from pathlib import Path


def is_same(a: Path, b: Path) -> bool:
    """Whether both are there and are one file."""
    try:
        return a.samefile(b)
    except OSError:  # also a link to nothing
        return False


def identity(path: Path) -> str:
    """Equal for paths that may be one file, whether it is there or not.

    Of names that differ in Unicode normal form only that is said anywhere; of those that differ
    in case only, unless the disk is seen to tell them apart.
    """
    folder = os.path.realpath(path.parent)  # a link is not its goal: no .resolve() of the path
    whole = unicodedata.normalize("NFC", str(Path(folder, path.name)))
    return whole if _tells_case(folder) else whole.casefold()  # which, as on ext4, has ss for ß


@cache  # per folder: every picture asks
def _tells_case(folder: str) -> bool:
    """Whether names that differ in case only are two files there; False where nothing shows it.

    Something in the folder, or in one above on the same disk, is looked up in other case.
    """
    device = None
    for place in (Path(folder), *Path(folder).parents):
        try:
            if device not in (None, place.stat().st_dev):
                return False
            device = place.stat().st_dev
            with os.scandir(place) as entries:
                names = (e.name for e in entries if e.name.isascii() and _swapped(e.name))
                name = next(names, None)
        except OSError:  # it is yet to be made, or may not be looked into
            continue
        if name is not None:
            return not _is_one(place / name, place / name.swapcase())
    return False


def _swapped(name: str) -> bool:
    return name != name.swapcase()


def _is_one(a: Path, b: Path) -> bool:
    """As :func:`is_same`, but of links themselves."""
    try:
        return os.path.samestat(a.lstat(), b.lstat())
    except OSError:
        return False
