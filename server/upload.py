"""Receiving a picture: multipart or raw, counted while it streams, with a time limit."""

from __future__ import annotations

import asyncio
import hashlib
import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from server.blobs import IN_MEMORY, Blob, new_path
from server.negotiate import divided
from server.problems import Problem
from server.settings import MEGA, Settings

_FORM_OVERHEAD = 1 << 16  # bytes of a form beside its picture
# RFC 7578 forbids it in forms, but some older clients send no other name.
_ESCAPED_NAME = re.compile(rb"filename\*=utf-8''([!-:<-~]+)", re.IGNORECASE)
_EXAMPLE = "curl -F file=@in.jpg, or curl --data-binary @in.jpg"


@dataclass(frozen=True)
class Upload:
    """A picture as it came. ``name`` is what the sender called it: for messages only."""

    blob: Blob
    name: str
    sha256: str


@dataclass(frozen=True)
class Limit:
    """A number of bytes, and what the sender of more is told."""

    bytes: int
    problem: Problem


class Uploads:
    """Pictures that come in, so many at once. Used from the event loop only."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self.count = 0

    def place(self) -> ExitStack:
        """A place for a picture from its first byte until it is admitted elsewhere, or gone.

        It is given back by ``close``, or at the end of a ``with`` block.

        Raises:
            Problem: there is none.
        """
        if self.count >= self._settings.uploads:
            raise Problem("busy", "Too many uploads at once: try again soon.", retry_after=2)
        self.count += 1
        place = ExitStack()
        place.callback(self._free)
        return place

    def _free(self) -> None:
        self.count -= 1

    async def receive(self, request: Request, *more: Limit) -> Upload:
        """Read the body of a request, which the limits in ``more`` bound too.

        Raises:
            Problem: too large, too slow, malformed, empty.
        """
        sink = _Sink((_most(self._settings.max_upload), *more), self._folder)
        seconds = self._settings.upload_seconds
        try:
            return await asyncio.wait_for(_read(request, sink), seconds)
        except (TimeoutError, asyncio.TimeoutError) as error:
            sink.drop()
            raise Problem(
                "upload-too-slow",
                f"The picture did not arrive within {seconds:g} s: "
                "send a smaller file, or use a faster connection.",
            ) from error
        except BaseException:
            sink.drop()
            raise


async def _read(request: Request, sink: _Sink) -> Upload:
    if request.headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
        raise Problem("not-a-picture", "The body is packed: send the picture as it is.")
    kind, options = parse_options_header(request.headers.get("content-type"))
    form = _Form(sink, options.get(b"boundary")) if kind == b"multipart/form-data" else None
    sink.expect(_length(request), 0 if form is None else _FORM_OVERHEAD)
    async for chunk in request.stream():
        if form is None:
            sink.add(chunk)
        else:
            form.add(chunk)
        await sink.flush()
    if form is not None:
        form.finish()
    if not sink.size:
        raise Problem("malformed-request", f"The picture is empty. Send one with {_EXAMPLE}.")
    name = "picture" if form is None else _safe_name(form.filename)
    return Upload(await sink.blob(), name, sink.sha256)


def _most(size: int) -> Limit:
    detail = f"At most {size / MEGA:g} MB are taken: send a smaller file, "
    return Limit(size, Problem("too-many-bytes", detail + "or one with more compression."))


def _length(request: Request) -> int:
    length = request.headers.get("content-length", "0")
    return int(length) if length.isdecimal() else 0


_LONGEST = 100  # characters of a name that are kept
_BROWSERS = {"%22": '"', "%0D": "", "%0A": ""}  # what they, and curl, make of signs in names


def _safe_name(name: str) -> str:
    """The last part of a name, printable and short; good for showing, not for opening."""
    for code, sign in _BROWSERS.items():
        name = name.replace(code, sign)
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    stem, ending = divided("".join(c for c in last if c.isprintable()).strip())
    return (stem[: _LONGEST - len(ending)] + ending) or "picture"


class _Sink:
    """Counts and hashes the bytes of the picture; keeps few in memory."""

    def __init__(self, limits: tuple[Limit, ...], folder: Path) -> None:
        self._limits = limits
        self._folder = folder
        self._buffer = bytearray()
        self._path: Path | None = None
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def expect(self, announced: int, overhead: int) -> None:
        """Refuse by what the sender announced, before anything was read."""
        self._check(announced - overhead)

    def add(self, data: bytes) -> None:
        self.size += len(data)
        self._check(self.size)
        self._hash.update(data)
        self._buffer += data

    def _check(self, size: int) -> None:
        for limit in self._limits:
            if size > limit.bytes:
                raise limit.problem

    async def flush(self) -> None:
        if len(self._buffer) > IN_MEMORY:
            await run_in_threadpool(self._write)

    def _write(self) -> None:
        if self._path is None:
            self._path = new_path(self._folder)
        with self._path.open("ab") as file:
            file.write(self._buffer)
        self._buffer = bytearray()

    async def blob(self) -> Blob:
        if self._path is None:
            return Blob(self.size, bytes(self._buffer))
        await run_in_threadpool(self._write)
        return Blob(self.size, path=self._path)

    def drop(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)


class _Form:
    """A multipart body with one part, ``file``."""

    def __init__(self, sink: _Sink, boundary: bytes | None) -> None:
        if not boundary:
            raise Problem("malformed-request", f"The form has no boundary. Use {_EXAMPLE}.")
        self.filename = ""
        self._sink = sink
        self._field = self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._seen = self._ended = False
        self._beside = 0  # bytes that are not of the picture
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_field": self._on_field,
                    "on_header_value": self._on_value,
                    "on_header_end": self._on_header,
                    "on_headers_finished": self._on_headers,
                    "on_part_data": lambda data, start, end: sink.add(data[start:end]),
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise _malformed() from error

    def add(self, chunk: bytes) -> None:
        before = self._sink.size
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _malformed() from error
        self._beside += len(chunk) - (self._sink.size - before)
        if self._beside > _FORM_OVERHEAD:
            raise _malformed()

    def finish(self) -> None:
        if not self._ended:
            raise Problem("malformed-request", "The form ends too early: send it again.")
        if not self._seen:
            raise Problem("malformed-request", f"The form has no field `file`. Use {_EXAMPLE}.")

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _on_headers(self) -> None:
        told = self._headers.get(b"content-disposition", b"")
        _, options = parse_options_header(told)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name != "file":
            shown = "".join(c for c in name if c.isprintable())[:40]
            raise Problem(
                "malformed-request",
                f"The form has a field `{shown}`: the picture goes into the field `file`, "
                "options go into the query, as in /v1/upscale?scale=4.",
            )
        if self._seen:
            raise Problem("malformed-request", "Send one picture in each request.")
        self._seen = True
        self.filename = options.get(b"filename", b"").decode("utf-8", "replace")
        if (escaped := _ESCAPED_NAME.search(told)) and not self.filename:
            self.filename = unquote(escaped[1].decode("ascii"))

    def _on_end(self) -> None:
        self._ended = True


def _malformed() -> Problem:
    return Problem("malformed-request", f"The form cannot be read. Send it with {_EXAMPLE}.")
