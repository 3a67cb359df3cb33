"""API keys: a bearer token or ``X-API-Key``, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from server.problems import Problem
from server.service import Service, service_of
from server.settings import plain_origin

_bearer = HTTPBearer(auto_error=False, description="An API key, where the service asks for one.")
_header = APIKeyHeader(
    name="X-API-Key", auto_error=False, description="The same, for tools that prefer it."
)


async def caller(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    header: Annotated[str | None, Security(_header)],
) -> str:
    """Who calls: a name made from the key, empty where no keys are asked for.

    Raises:
        Problem: no key, a wrong one, or a web page of somebody else's.
    """
    service: Service = service_of(request)
    _check_origin(request, service.settings.cors_origins)
    keys = [_digest(key.get_secret_value()) for key in service.settings.api_keys]
    if not keys:
        return ""
    given = [_digest(bearer.credentials)] if bearer is not None else []
    given += [] if header is None else [_digest(header)]
    # Every key is compared, so that the time tells nothing of which one came close.
    valid = [one for one in given if sum([hmac.compare_digest(one, key) for key in keys])]
    if not valid:
        raise Problem(
            "unauthorized",
            "Send a valid API key as `Authorization: Bearer KEY` or as `X-API-Key: KEY`.",
        )
    return valid[0].hex()[:16]


def _check_origin(request: Request, listed: tuple[str, ...]) -> None:
    """Refuse work for foreign web pages: a browser sends it even where none may be answered."""
    origin = request.headers.get("origin")
    if origin is None or request.method == "GET" or origin in listed or "*" in listed:
        return
    # What no script can set; browsers leave it out where the address is neither https nor local.
    if request.headers.get("sec-fetch-site") == "same-origin":
        return
    scheme = origin.partition("://")[0]
    if plain_origin(f"{scheme}://{request.headers.get('host', '')}") != origin:
        raise Problem(
            "forbidden-origin",
            "Pages of other origins may not use this service, unless whoever runs it lists the "
            "origin in SRNET_CORS_ORIGINS. If this is its own page, a proxy changes the header "
            "Host: let it pass that on (nginx: `proxy_set_header Host $http_host`).",
        )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


Caller = Annotated[str, Depends(caller)]
