"""Bytes that may be large: short ones in memory, long ones in files of the service's folder."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

IN_MEMORY = 1 << 20  # bytes; longer ones go to disk
CHUNK = 1 << 18  # bytes written to a socket at a time


@dataclass(frozen=True)
class Blob:
    """Either ``content`` or the ``path`` of a file; whoever holds it discards it."""

    size: int  # bytes
    content: bytes | None = None
    path: Path | None = None

    def read(self) -> bytes:
        """All of it, in memory."""
        if self.content is not None:
            return self.content
        assert self.path is not None
        return self.path.read_bytes()

    def move(self, target: Path) -> None:
        """Make it the file ``target``, whole and on disk, or not at all."""
        source = self.path
        if source is None:
            source = target.with_name(f"{target.name}.{secrets.token_hex(4)}.partial")
            _write(source, self.read())
        try:
            with source.open("rb") as file:
                os.fsync(file.fileno())
            source.replace(target)
        except BaseException:
            source.unlink(missing_ok=True)
            raise

    def discard(self) -> None:
        """Remove the file, if there is one still."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    async def open(self) -> BinaryIO:
        """All of it, to be read piece by piece; whoever opens it closes it."""
        if self.path is None:
            return io.BytesIO(self.read())
        return await run_in_threadpool(self.path.open, "rb")

    async def take(self) -> BinaryIO:
        """The same, where it is the last use: the file has no name any more, nothing is left."""
        try:
            return await self.open()
        finally:
            self.discard()


class Download(StreamingResponse):
    """Bytes ``start`` to ``end`` of an open file, which is closed however the sending ends.

    Also where it never begins: a generator that was not begun cleans nothing up.
    """

    def __init__(
        self,
        file: BinaryIO,
        start: int,
        end: int,
        status: int,
        headers: Mapping[str, str],
        media_type: str,
    ) -> None:
        super().__init__(_pieces(file, start, end), status, headers, media_type)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the base class."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


async def _pieces(file: BinaryIO, start: int, end: int) -> AsyncIterator[bytes]:
    """Read as they are sent."""
    await run_in_threadpool(file.seek, start)
    while piece := await run_in_threadpool(file.read, min(CHUNK, end - start)):
        start += len(piece)
        yield piece


def keep(data: bytes, folder: Path) -> Blob:
    """A blob of ``data``."""
    if len(data) <= IN_MEMORY:
        return Blob(len(data), data)
    path = new_path(folder)
    _write(path, data)
    return Blob(len(data), path=path)


def _write(path: Path, data: bytes) -> None:
    """Write a file, or leave none: the disk may be full."""
    try:
        path.write_bytes(data)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def new_path(folder: Path) -> Path:
    """A file name that nobody else has, and that nobody outside chose."""
    return folder / secrets.token_hex(16)
