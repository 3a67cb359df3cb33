"""The OpenAPI 3.1 document: what FastAPI cannot see for itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI

from server import problems as problem_kinds
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


def _header(description: str, kind: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": kind}}


PICTURE_HEADERS: Mapping[str, Any] = {
    "Content-Disposition": _header("The name of the result, after RFC 5987."),
    "Server-Timing": _header("Milliseconds of queue, decode, network, check and encode."),
    "X-Model": _header("The model that was used."),
    "X-Scale": _header("The factor that was reached.", "number"),
    "X-Origin-Width": _header("Pixels.", "integer"),
    "X-Origin-Height": _header("Pixels.", "integer"),
    "X-Result-Width": _header("Pixels.", "integer"),
    "X-Result-Height": _header("Pixels.", "integer"),
    "X-Consistency-DB": _header("PSNR of the result, shrunk, against the input.", "number"),
}


def pictures(description: str, headers: Mapping[str, Any]) -> dict[str, Any]:
    """A response with a picture in it."""
    content = {known.media_type: {"schema": dict(_BINARY)} for known in FORMATS.values()}
    return {"description": description, "content": content, "headers": dict(headers)}


def takes_picture(router: APIRouter, path: str, **described: Any) -> Callable[[Handler], Handler]:
    """Decorate what answers pictures sent by POST, or by PUT, which is what ``curl -T`` does."""

    def register(handler: Handler) -> Handler:
        extra = {"requestBody": _PICTURE_BODY}
        for method in ("POST", "PUT"):
            router.add_api_route(path, handler, methods=[method], openapi_extra=extra, **described)
        return handler

    return register


def complete(app: FastAPI, keys: bool) -> None:
    """Let ``app.openapi()`` tell of problems, and of the header that every answer has.

    ``keys`` says whether API keys are asked for.
    """
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _amend(generate(), keys)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _amend(document: dict[str, Any], keys: bool) -> None:
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas["Problem"] = dict(problem_kinds.SCHEMA)
    for path in document["paths"].values():
        for operation in path.values():
            if not keys:
                operation.pop("security", None)
            unprocessable = operation["responses"].get("422", {}).get("content", {})
            if list(unprocessable) == ["application/json"]:
                del operation["responses"]["422"]  # FastAPI's guess, where nothing can be wrong
            # Strictly an answer of the path, for which the document has no place.
            refused = {str(status): told for status, told in problems("method-not-allowed").items()}
            operation["responses"] = dict(sorted((operation["responses"] | refused).items()))
            for response in operation["responses"].values():
                headers = response.setdefault("headers", {})
                headers["X-Request-ID"] = _header("The one that was sent, or a new one.")
