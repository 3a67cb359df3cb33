"""How many connections there is room for: a process may open only so many files."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import suppress

from server.settings import Settings

_OWN = 32  # files that the service itself may have open
_SPARE = 32  # connections beyond the limit
_EACH = 2  # files of a connection: itself, and one that it may read or write besides


def connections(settings: Settings) -> int:
    """How many are served at once: those of the settings, or what the files allow."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return settings.connections
    return min(settings.connections, max(1, (files - _OWN - spare()) // _EACH))


def spare() -> int:
    """Connections beyond those, which are told the health of the service, and refused all else."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _SPARE if files == resource.RLIM_INFINITY else min(_SPARE, files // 8)


def streams(settings: Settings) -> int:
    """How many may follow a job: at most half of the connections, the others are for work."""
    return min(settings.streams, max(1, connections(settings) // 2))


def make(settings: Settings) -> None:
    """Let this process open the files that the settings need, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = _EACH * settings.connections + _OWN + _SPARE
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    with suppress(OSError, ValueError):  # what remains is told by lacking()
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def lacking(settings: Settings) -> Iterator[str]:
    """A sentence for each setting that there is no room for."""
    most, followed = connections(settings), streams(settings)
    if most < settings.connections:
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        yield (
            f"SRNET_CONNECTIONS is {settings.connections}, but the process may open only {files} "
            f"files: {most} are served at once (see ulimit -n)"
        )
    if followed < settings.streams:
        yield (
            f"SRNET_STREAMS is {settings.streams}, but may be half of the connections at most: "
            f"{followed} are served at once"
        )
