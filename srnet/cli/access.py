"""What this user may not read or write: how to say it, and how to be who may."""

from __future__ import annotations

import os
from pathlib import Path

from srnet.errors import OptionError
from srnet.files import check_name


def check_writable(folder: Path, option: str = "-o") -> None:
    """Refuse at once a folder in which nothing could be written after all the work.

    Raises:
        OptionError: the message says why, and names ``option``.
    """
    check_name(folder)
    reason = why_not_writable(folder)
    if reason is not None:
        raise OptionError(f"{reason}: choose another {option}")


def why_not_writable(folder: Path) -> str | None:
    """Why nothing can be written to ``folder`` or the next one above that is there, or None."""
    there = next(p for p in (folder, *folder.absolute().parents) if os.path.lexists(p))
    if not there.is_dir():
        return f"{there} is a file"
    if os.access(there, os.W_OK):
        return None
    if hasattr(os, "statvfs") and os.statvfs(there).f_flag & os.ST_RDONLY:
        return f"{there} is on a file system that is mounted read-only"
    return f"{there} may not be written to{by_me()}{as_owner(there)}"


def by_me() -> str:
    """Who it is that may not, where users have numbers."""
    return f" by user {os.geteuid()}" if hasattr(os, "geteuid") else ""


def as_owner(path: Path) -> str:
    """How to become the owner of ``path`` where srnet was told that it is in a container.

    Its user is not the one who started it, who wonders then: the folder is theirs.
    """
    if os.environ.get("SRNET_CONTAINER") != "1":
        return ""
    for place in (path, *path.absolute().parents):
        try:
            owner = place.stat()
        except OSError:
            continue
        return f" (run the container with --user {owner.st_uid}:{owner.st_gid}, who owns it)"
    return ""
