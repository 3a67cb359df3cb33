"""Files that a user's machine can make again: kept between runs, never trusted to be whole.

One entry is one file: a digest of the rest, a line of JSON with names and lengths, the parts. It
appears whole or not at all, so several processes may write the same one; a damaged entry is as
good as none.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from srnet.errors import OutputError
from srnet.files import write_atomic

_log = logging.getLogger(__name__)
_DIGEST = hashlib.sha256().digest_size  # bytes
_MOST_ENTRIES = 64  # of about 2 MB each; those that were not used for longest go first
_ENTRY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")  # leads out of no folder


def user_folder() -> Path | None:
    """The cache of srnet for this user, as the operating system has it (XDG on Linux).

    None for a user without a home, such as a number that a container was given.
    """
    from platformdirs import user_cache_path

    try:
        return user_cache_path("srnet", appauthor=False)
    except RuntimeError as error:
        _log.debug("there is no folder for a cache: %s", error)
        return None


def key(name: str, *parts: bytes | str) -> str:
    """The name of an entry that depends on all of ``parts``."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return f"{name}-{digest.hexdigest()[:24]}"


@dataclass(frozen=True)
class Cache:
    """Entries in one folder. What cannot be read is absent; what cannot be written is not kept.

    Without a folder, nothing is.
    """

    folder: Path | None

    def read(self, entry: str) -> dict[str, bytes] | None:
        """The parts of an entry, or None if it is absent or damaged."""
        try:
            path = self._path(entry)
            data = path.read_bytes()
        except OSError as error:
            _log.debug("no cache entry %s: %s", entry, error)
            return None
        digest, payload = data[:_DIGEST], data[_DIGEST:]
        if hashlib.sha256(payload).digest() != digest:
            _log.debug("cache entry %s is damaged", entry)
            return None
        head, _, rest = payload.partition(b"\n")
        parts, start = {}, 0
        for name, length in json.loads(head).items():
            parts[name] = rest[start : start + length]
            start += length
        with suppress(OSError):  # what is used stays
            os.utime(path)
        return parts

    def write(self, entry: str, parts: Mapping[str, bytes]) -> None:
        """Keep the parts, replacing an older entry; without the right to write, do nothing."""
        head = json.dumps({name: len(data) for name, data in parts.items()}).encode()
        payload = b"\n".join((head, b"".join(parts.values())))
        try:
            path = self._path(entry)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomic(path, hashlib.sha256(payload).digest() + payload)
            _prune(path.parent)
        except (OSError, OutputError) as error:  # slower next time, and nothing worse
            _log.debug("cache entry %s is not kept: %s", entry, error)

    def _path(self, entry: str) -> Path:
        """The file of an entry, in the folder whatever it is called.

        Raises:
            OSError: there is no such file.
        """
        if self.folder is None:
            raise FileNotFoundError("there is no folder for a cache")
        if not _ENTRY.fullmatch(entry):
            raise FileNotFoundError("no entry can be called so")
        return self.folder / f"{entry}.bin"


def _prune(folder: Path) -> None:
    entries = sorted(folder.glob("*.bin"), key=lambda path: path.stat().st_mtime)
    for path in entries[:-_MOST_ENTRIES]:
        path.unlink(missing_ok=True)
