"""Bytes that may be large: short ones in memory, long ones in files of the service's folder."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Send

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

    async def chunks(
        self, start: int = 0, end: int | None = None, last: bool = False
    ) -> AsyncIterator[bytes]:
        """The bytes from ``start`` to ``end`` in order, read as they are sent.

        ``last`` discards them meanwhile.
        """
        end = self.size if end is None else end
        if self.content is not None:
            for at in range(start, end, CHUNK):
                yield self.content[at : min(at + CHUNK, end)]
            return
        assert self.path is not None
        file = await run_in_threadpool(self.path.open, "rb")
        try:
            if last:  # the name goes now, so that nothing is left however the sending ends
                self.discard()
            await run_in_threadpool(file.seek, start)
            while chunk := await run_in_threadpool(file.read, min(CHUNK, end - start)):
                start += len(chunk)
                yield chunk
        finally:
            file.close()


class ClosingResponse(StreamingResponse):
    """A stream whose source is closed at once, however the sending ends: not some time later."""

    async def stream_response(self, send: Send) -> None:
        """See the base class."""
        try:
            await super().stream_response(send)
        finally:
            if isinstance(self.body_iterator, AsyncGenerator):
                await self.body_iterator.aclose()


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
