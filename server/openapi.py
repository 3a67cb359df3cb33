"""The OpenAPI 3.1 document: what FastAPI cannot see for itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI

from server import problems as problem_kinds
from server.query import PARAMETERS
from srnet.image import FORMATS

Handler = TypeVar("Handler", bound=Callable[..., Any])

_BINARY: Mapping[str, Any] = {"type": "string", "format": "binary"}
_READ = (
    *(known.media_type for known in FORMATS.values()),
    "image/bmp",
    "image/gif",
    "image/jp2",
    "application/octet-stream",
)
problems = problem_kinds.documented
REFUSALS = (
    "malformed-request",
    "unauthorized",
    "forbidden-origin",
    "upload-too-slow",
    "too-many-bytes",
    "not-a-picture",
    "bad-parameter",
    "too-many-pixels",
    "cannot-write",
    "queue-full",
    "internal",
    "not-ready",
    "busy",
    "time-limit",
)

HEALTH = ("/livez", "/readyz")  # told to everybody, always

_PICTURE_BODY: Mapping[str, Any] = {
    "required": True,
    "description": "One picture: PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF or JPEG 2000.",
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {"file": dict(_BINARY)},
                "additionalProperties": False,
            }
        },
        **{media: {"schema": dict(_BINARY)} for media in _READ},
    },
}


def header(description: str, example: str | float) -> dict[str, Any]:
    """A header of an answer; the example tells its type."""
    kinds: Mapping[type, str] = {str: "string", int: "integer", float: "number"}
    schema = {"type": kinds[type(example)]}
    return {"description": description, "schema": schema, "example": example}


_NAMES = "inline; filename=\"photo_x4.jpg\"; filename*=UTF-8''photo_x4.jpg"
_TIMES = "queue;dur=0.1, decode;dur=12.0, network;dur=810.5, check;dur=9.1, encode;dur=30.2"
PICTURE_HEADERS: Mapping[str, Any] = {
    "Content-Disposition": header("The name of the result, after RFC 5987.", _NAMES),
    "Server-Timing": header("Milliseconds of queue, decode, network, check and encode.", _TIMES),
    "X-Model": header("The model that was used.", "clean"),
    "X-Scale": header("The factor that was reached.", 4.0),
    "X-Origin-Width": header("Pixels.", 300),
    "X-Origin-Height": header("Pixels.", 200),
    "X-Result-Width": header("Pixels.", 1200),
    "X-Result-Height": header("Pixels.", 800),
    "X-Consistency-DB": header(
        "PSNR of the result, shrunk, against the input; before it is encoded.", 52.31
    ),
    "X-Rounded-To-8-Bit": header(
        "Only if the input has more bits than 8, and the result has 8.", 1
    ),
    "X-Pages-Left-Out": header("Only of a TIFF with several pages: all but the first.", 2),
}

RESUMED: Mapping[str, Any] = {
    "ETag": header("Stays as long as the job.", '"0f1e2d3c4b5a69788796a5b4c3d2e1f0"'),
    "Accept-Ranges": header("One range of bytes is given in each answer.", "bytes"),
}
PARTIAL: Mapping[str, Any] = {
    **RESUMED,
    "Content-Range": header("Which bytes, of how many.", "bytes 100-199/2342108"),
}


def pictures(description: str, headers: Mapping[str, Any]) -> dict[str, Any]:
    """A response with a picture in it."""
    content = {known.media_type: {"schema": dict(_BINARY)} for known in FORMATS.values()}
    return {"description": description, "content": content, "headers": dict(headers)}


def takes_picture(router: APIRouter, path: str, **described: Any) -> Callable[[Handler], Handler]:
    """Decorate what answers pictures sent by POST, or by PUT, which is what ``curl -T`` does."""

    def register(handler: Handler) -> Handler:
        extra = {"requestBody": _PICTURE_BODY, "parameters": PARAMETERS}
        for method in ("POST", "PUT"):
            router.add_api_route(path, handler, methods=[method], openapi_extra=extra, **described)
        return handler

    return register


def complete(app: FastAPI, keys: bool, hosts: bool) -> None:
    """Let ``app.openapi()`` tell of problems, the place, and the header that every answer has.

    ``keys`` says whether API keys are asked for, ``hosts`` whether names of hosts are listed.
    """
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _amend(generate(), keys, hosts)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _amend(document: dict[str, Any], keys: bool, hosts: bool) -> None:
    document["servers"] = [{"url": ".", "description": "Beside this document."}]
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas["Problem"] = dict(problem_kinds.SCHEMA)
    for address, path in document["paths"].items():
        # That of the method is strictly an answer of the path, for which there is no place.
        anywhere = ["method-not-allowed", "internal"]
        if address not in HEALTH:
            anywhere += ["busy", "unknown-host"] if hosts else ["busy"]
        for operation in path.values():
            if not keys:
                operation.pop("security", None)
            responses = operation["responses"]
            if list(responses.get("422", {}).get("content", {})) == ["application/json"]:
                del responses["422"]  # FastAPI's guess, where nothing can be wrong
            _also(responses, problems(*anywhere))
            operation["responses"] = dict(sorted(responses.items()))
            for response in responses.values():
                headers = response.setdefault("headers", {})
                headers["X-Request-ID"] = header("The one that was sent, or a new one.", "3f2a")


def _also(responses: dict[str, Any], more: Mapping[int | str, Mapping[str, Any]]) -> None:
    """Add problems to those that are there, which may have the same status."""
    for status, told in more.items():
        there = responses.setdefault(str(status), dict(told))
        if told["description"] not in there["description"]:
            there["description"] += "; " + told["description"]
        for media, content in told["content"].items():
            there["content"][media]["examples"].update(content["examples"])
