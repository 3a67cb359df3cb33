"""Pages of other web origins: what the browser is told of who may call."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from server.problems import Problem


class Cors(CORSMiddleware):
    """Scripts of some web origins may call, and read every header."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
            allow_headers=["*"],
            expose_headers=["*"],
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """What a browser asks beforehand; a refusal is a problem like any other."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        if not self.is_allowed_origin(request_headers["origin"]):
            detail = "Pages of this origin may not use the service: see SRNET_CORS_ORIGINS."
            raise Problem("forbidden-origin", detail)
        detail = f"Scripts may use {', '.join(self.allow_methods)} here, and no private network."
        raise Problem("malformed-request", detail)
