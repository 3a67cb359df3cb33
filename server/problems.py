"""Errors as RFC 9457 problem details: one table of kinds, one mapping from ``srnet`` errors."""

from __future__ import annotations

import errno
import logging
import sqlite3
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from fastapi.responses import JSONResponse, Response

from server.wording import for_callers
from srnet.errors import (
    DeviceError,
    OptionError,
    OutputError,
    PictureError,
    SRNetError,
    TooLargeError,
)

MEDIA_TYPE = "application/problem+json"
log = logging.getLogger("srnet.server")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_CROWDED = (errno.EMFILE, errno.ENFILE)

# Name of each kind: status and title. The names are part of the interface: never rename one.
KINDS: Mapping[str, tuple[int, str]] = {
    "malformed-request": (400, "The request cannot be read"),
    "unauthorized": (401, "An API key is needed"),
    "forbidden-origin": (403, "This web origin may not call the service"),
    "not-found": (404, "There is nothing here"),
    "method-not-allowed": (405, "This method is not allowed here"),
    "upload-too-slow": (408, "The upload took too long"),
    "job-not-done": (409, "The job has no result yet"),
    "job-failed": (409, "The job has no result"),
    "too-many-bytes": (413, "The upload is too large"),
    "not-a-picture": (415, "Not a picture that can be read"),
    "unknown-host": (421, "The service is not known by this name"),
    "bad-parameter": (422, "A parameter cannot work"),
    "too-many-pixels": (422, "The result would be too large"),
    "cannot-write": (422, "The result cannot be written as asked"),
    "too-large-to-keep": (422, "Larger than what is kept for jobs"),
    "key-reused": (422, "The idempotency key belongs to another request"),
    "queue-full": (429, "Too many pictures are waiting"),
    "internal": (500, "The service failed"),
    "not-ready": (503, "The service is not ready"),
    "busy": (503, "The service is busy"),
    "time-limit": (504, "The picture took too long"),
}


@dataclass
class Problem(Exception):  # noqa: N818 - what RFC 9457 calls it
    """An error to answer with; ``kind`` is a key of ``KINDS``, ``detail`` says what to change."""

    kind: str
    detail: str
    retry_after: int | None = None  # seconds
    more: dict[str, Any] = field(default_factory=dict)  # further members of the answer

    @property
    def status(self) -> int:
        """The HTTP status."""
        return KINDS[self.kind][0]

    def members(self, request_id: str | None = None) -> dict[str, Any]:
        """The JSON object."""
        known = {
            "type": f"/docs#{self.kind}",
            "title": KINDS[self.kind][1],
            "status": self.status,
            "detail": self.detail,
        }
        if request_id is not None:
            known["request_id"] = request_id
        return known | self.more


def shutting_down() -> Problem:
    """What everybody is told from the signal on."""
    return Problem("not-ready", "The service is shutting down: send it again.", retry_after=10)


def from_disk(error: Exception) -> Problem | None:
    """What the caller is told when the disk or the table of files is full; None of all else.

    The list of jobs is closed at the very end: whoever comes to it then is told of the end.
    """
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return shutting_down()
    if isinstance(error, OSError) and error.errno in _CROWDED:
        log.error("too many files are open: %s", error)
        return Problem("busy", "Too much at once: try again soon.", retry_after=5)
    full = isinstance(error, OSError) and error.errno in _FULL
    if not full and not (isinstance(error, sqlite3.OperationalError) and "full" in str(error)):
        return None
    log.error("the disk is full: %s", error)
    return Problem("busy", "The disk of the service is full: try again later.", retry_after=60)


def from_error(error: SRNetError) -> Problem:
    """What the caller is told of an error of the library.

    Names of inner libraries and of files never get here: the pictures have no path, and what
    the service itself lacks (memory, weights) is told in general terms.
    """
    if isinstance(error, TooLargeError):
        return Problem("too-many-pixels", for_callers(str(error)))
    if isinstance(error, PictureError):
        return Problem("not-a-picture", for_callers(str(error)))
    if isinstance(error, OptionError):
        return Problem("bad-parameter", for_callers(str(error)))
    if isinstance(error, OutputError):
        return Problem("cannot-write", for_callers(str(error)))
    if isinstance(error, DeviceError):
        log.error("%s", error)
        return Problem("busy", "There is not enough memory now: try again later.", retry_after=30)
    log.error("%s: %s", type(error).__name__, error)
    return Problem("internal", "The service is set up wrongly; its log says more.")


def answer(problem: Problem, scope: MutableMapping[str, Any]) -> Response:
    """The response for a problem; ``scope`` is that of the request."""
    headers = {} if problem.retry_after is None else {"Retry-After": str(problem.retry_after)}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    scope["problem"] = problem.kind  # for the metrics
    body = problem.members(scope.get("request_id"))
    return JSONResponse(body, problem.status, headers, MEDIA_TYPE)


# Headers of the answers to some kinds: which, what they tell, and the type of the value.
_HEADERS: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    "Retry-After": (("job-not-done", "queue-full", "busy", "not-ready"), "Seconds.", "integer"),
    "WWW-Authenticate": (("unauthorized",), "How to send a key.", "string"),
    "Allow": (("method-not-allowed",), "What may be used.", "string"),
}


def documented(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI ``responses`` for some kinds, one example each."""
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        status, title = KINDS[kind]
        response = responses.setdefault(
            status,
            {
                "description": title,
                "content": {
                    MEDIA_TYPE: {
                        "schema": {"$ref": "#/components/schemas/Problem"},
                        "examples": {},
                    }
                },
            },
        )
        if title not in response["description"]:
            response["description"] += "; " + title
        example = Problem(kind, "What happened and what to change.").members("3f2a")
        response["content"][MEDIA_TYPE]["examples"][kind] = {"value": example}
        for name, (having, told, value) in _HEADERS.items():
            if kind in having:
                header = {"description": told, "schema": {"type": value}}
                response.setdefault("headers", {})[name] = header
    return responses


SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457 problem details.",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {
            "type": "string",
            "enum": [f"/docs#{kind}" for kind in KINDS],
            "description": "Stable name of the kind of error: compare it as it is. It is also "
            "where the kind is explained, unless a proxy serves this under a path of its own.",
        },
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened and what to change."},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"where": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
