"""The outermost layer: request ids, counting, safe headers, an answer whatever happens."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.connected import ClientGone
from server.cors import Cors
from server.openapi import HEALTH
from server.problems import Problem, answer, shutting_down
from server.prompt import crowded
from server.service import Service, new_id

log = logging.getLogger("srnet.server")

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")  # others: endless labels
_ABSOLUTE = re.compile(rb"https?://([^/@]+)(/.*|)", re.IGNORECASE)
_LISTS = (b"accept", b"if-none-match")  # of those headers that are read here
_LINGER = 1.0  # seconds to read on after an early answer, so that the sender gets to see it
_LINGER_AT_THE_END = 0.2
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
}


class Edge:
    """ASGI middleware around everything, also around what lets other web origins in."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope = _with_whole_lists(_origin_form(scope))
        given = Headers(scope=scope).get("x-request-id", "")
        scope["request_id"] = given if _ID.fullmatch(given) else new_id()
        method = scope["method"]
        if method == "HEAD":  # is GET to everything inside
            headers = [header for header in scope["headers"] if header[0] != b"range"]
            scope = {**scope, "method": "GET", "headers": headers}
        exchange = _Exchange(scope, receive, send, self.service, head=method == "HEAD")
        start = time.perf_counter()
        try:
            self._check(scope)
            await self.app(scope, exchange.receive, exchange.send)
        except (ClientGone, ClientDisconnect):
            exchange.status = exchange.status or 499
        except asyncio.CancelledError:  # uvicorn cancels what has not ended in time
            if not self.service.draining:
                raise
            await exchange.refuse(shutting_down())
        except Problem as problem:
            await exchange.refuse(problem)
        except Exception:
            log.exception("request %s failed", scope["request_id"])
            detail = "The service failed. Its log tells why, under this request id."
            await exchange.refuse(Problem("internal", detail))
        finally:
            self._count(scope, method, exchange.status or 499, time.perf_counter() - start)

    def _check(self, scope: Scope) -> None:
        """Refuse what comes by the wrong name or is too much; health is told to everybody."""
        if scope["path"] in HEALTH:
            return
        if crowded(scope):
            raise Problem("busy", "Too many connections at once: try again soon.", retry_after=2)
        hosts = self.service.settings.hosts
        name = re.sub(r":\d*$", "", Headers(scope=scope).get("host", "")).lower()
        if hosts and name not in hosts:
            raise Problem("unknown-host", "This service has no such host name: see SRNET_HOSTS.")

    def _count(self, scope: Scope, method: str, status: int, seconds: float) -> None:
        metrics = self.service.metrics
        route = getattr(scope.get("route"), "path", "none")  # never the path: endless labels
        known = method if method in _METHODS else "other"
        known = known if route != "none" else "none"
        metrics.requests.labels(route, known, str(status)).inc()
        metrics.seconds.labels(route).observe(seconds)
        if "problem" in scope:
            metrics.rejected.labels(scope["problem"]).inc()
        path = scope.get("raw_path", b"").decode("ascii", "replace")
        log.info("%s %s %d %.0f ms %s", method, path, status, 1e3 * seconds, scope["request_id"])


class _Exchange:
    """One request and its response."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, service: Service, head: bool
    ) -> None:
        self.status = 0
        self._head, self._ended = head, False
        self._scope = scope
        self._receive, self._send = receive, send
        self._service = service
        self._early = False  # the answer began before the request had ended
        headers = Headers(scope=scope)
        self._body_read = (
            headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
        )

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._body_read = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._early = not self._body_read
            self._add_headers(message)
        elif self._head:
            if self._ended:
                return
            self._ended = True  # whoever would go on finds that nobody listens
            message = {"type": "http.response.body", "body": b""}
        elif self._early and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._drain()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    def _add_headers(self, message: MutableMapping[str, Any]) -> None:
        headers = MutableHeaders(scope=message)
        headers["X-Request-ID"] = self._scope["request_id"]
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        headers.setdefault("Cache-Control", "no-store")
        if self._early or crowded(self._scope):
            headers["Connection"] = "close"

    async def _drain(self) -> None:
        async def read_on() -> None:
            while not self._body_read:
                await self.receive()

        with suppress(TimeoutError, asyncio.TimeoutError):
            seconds = _LINGER_AT_THE_END if self._service.draining else _LINGER
            await asyncio.wait_for(read_on(), seconds)

    async def refuse(self, problem: Problem) -> None:
        """Answer with a problem, unless it is too late for another answer."""
        if self.status:
            return
        response, headers = answer(problem, self._scope), Headers(scope=self._scope)
        origins = self._service.settings.cors_origins
        if origins and "origin" in headers:  # its script shall see what is wrong
            cors = Cors(response, origins)
            await cors.simple_response(self._scope, self.receive, self.send, headers)
        else:
            await response(self._scope, self.receive, self.send)


def _with_whole_lists(scope: Scope) -> Scope:
    """A request in which each list is one line: several count as one (RFC 9110, 5.3)."""
    headers = scope["headers"]
    for name in _LISTS:
        lines = [value for key, value in headers if key == name]
        if len(lines) > 1:
            others = [header for header in headers if header[0] != name]
            headers = [*others, (name, b", ".join(lines))]
    return {**scope, "headers": headers}


def _origin_form(scope: Scope) -> Scope:
    """A request as ``GET /path``, though it may come as to a proxy (RFC 9112, 3.2.2).

    The host in such an address is what counts, not the header.
    """
    match = _ABSOLUTE.fullmatch(scope.get("raw_path", b""))
    if match is None:
        return scope
    host, path = match[1], match[2] or b"/"
    headers = [header for header in scope["headers"] if header[0] != b"host"]
    return {
        **scope,
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "headers": [(b"host", host), *headers],
    }
