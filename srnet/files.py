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

    An older one is replaced, and its permissions are kept; of a link, the link is replaced.
    ``parents`` makes the folder it is to lie in.

    Raises ``OutputError`` with the reason; nothing is left behind then.
    """
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        try:
            if parents:
                path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(data)
                _sync(file)
            _keep_permissions(path, part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot write {path} ({error.strerror or error}): check the folder, its "
            "permissions and the free space"
        ) from error


def _sync(file: BinaryIO) -> None:
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _keep_permissions(old: Path, new: Path) -> None:
    with suppress(OSError):  # there is none, or the file system has no permissions
        found = old.lstat().st_mode
        if stat.S_ISREG(found):
            new.chmod(stat.S_IMODE(found))
