"""Files to disk, whole or not at all; what else can be wrong with writing."""

from __future__ import annotations

import errno
import os
import stat
import uuid
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from srnet.errors import OptionError, OutputError

_NO_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)  # what file systems say that have none


def write_atomic(path: Path, data: bytes | memoryview, *, parents: bool = False) -> None:
    """Write a file that is there in full or not at all, also after a power cut.

    An older one is replaced, and its owner and permissions are kept; of a link, the link is
    replaced.
    ``parents`` makes the folder it is to lie in.

    Raises ``OutputError`` with the reason; nothing is left behind then.
    """
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        try:
            if parents:
                path.parent.mkdir(parents=True, exist_ok=True)
            with _created(part, path) as file:
                file.write(data)
                _sync(file)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        cure = "check the folder, its permissions and the free space"
        if error.errno == errno.ENAMETOOLONG:
            cure = "choose a shorter name"
        raise OutputError(f"cannot write {path} ({error.strerror or error}): {cure}") from error


def check_name(path: Path, cure: str = "check it") -> None:
    """Refuse at once what nothing can be called, before Python or all the work fails of it.

    Raises:
        OptionError: the name is too long for the disk, or has a zero byte; the message ends
            with ``cure``.
    """
    if "\0" in str(path):
        raise OptionError(f"{str(path)!r} has a byte that no name can hold: {cure}")
    whole = path.absolute()
    there = next((p for p in whole.parents if os.path.lexists(p)), whole)
    # of what lies in folders yet to be made, the disk is asked name by name
    for place in (path, *(there / name for name in whole.relative_to(there).parts)):
        try:
            place.lstat()
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                reason = f"{path} is a longer name than files can have: {cure}"
                raise OptionError(reason) from error


def check_free(path: Path, cure: str, *, overwrite: bool = False) -> None:
    """Refuse at once a file that cannot be made, or not anew unless that is wanted.

    Raises:
        OptionError: a folder is there, or see :func:`check_name`.
        OutputError: something is there; the message ends with ``cure``.
    """
    check_name(path)
    if path.is_dir() and not path.is_symlink():  # a link is replaced
        raise OptionError(f"{path} is a folder: give the name of a file")
    if not overwrite and os.path.lexists(path):
        raise OutputError(f"{path} exists: {cure}")


def no_output(error: OSError) -> OutputError:
    """What to raise where standard output takes nothing more, as on a full disk."""
    return OutputError(f"cannot write to standard output: {error.strerror or error}")


def _created(part: Path, old: Path) -> BinaryIO:
    """A new file, with owner and permissions of the one that it is to replace.

    Those stay only where the owner can stay, or he could be locked out.
    """
    found = old.lstat() if hasattr(os, "geteuid") and os.path.lexists(old) else None  # not Windows
    if found is None or not stat.S_ISREG(found.st_mode) or os.geteuid() not in (0, found.st_uid):
        return part.open("xb")
    number = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with suppress(OSError):  # the file system has none, or it is a group of others
        os.chown(number, found.st_uid, found.st_gid)
    with suppress(OSError):
        os.fchmod(number, stat.S_IMODE(found.st_mode))
    return os.fdopen(number, "wb")


def _sync(file: BinaryIO) -> None:
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
