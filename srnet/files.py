"""Files to disk, whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import uuid
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from srnet.errors import OutputError

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
        raise OutputError(
            f"cannot write {path} ({error.strerror or error}): check the folder, its "
            "permissions and the free space"
        ) from error


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
