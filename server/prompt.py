"""Connections must say what they want: an end for those that send no request, or drip one.

What is no HTTP gets a problem for an answer, like everything else that is wrong.
"""

from __future__ import annotations

import asyncio
import json

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from server.problems import MEDIA_TYPE, Problem
from server.service import new_id


class _Prompt(H11Protocol):
    """The protocol of uvicorn, which waits no longer than ``seconds`` for the head of a request.

    Without an end, a thousand silent connections use up the files that a process may open.
    """

    seconds: float
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the words of a library
        request_id = new_id()
        detail = "This is no HTTP/1.1 request, or its head is too long: check http against https."
        problem = Problem("malformed-request", detail)
        body = json.dumps(problem.members(request_id)).encode()
        headers = [
            ("Content-Type", MEDIA_TYPE),
            ("Content-Length", str(len(body))),
            ("X-Request-ID", request_id),
            ("Connection", "close"),
        ]
        start = h11.Response(status_code=problem.status, headers=headers, reason=b"Bad Request")
        for event in (start, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()  # the head is there
        elif self._timer is None:
            self._timer = self.loop.call_later(self.seconds, self.transport.close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def prompt(seconds: float) -> type[H11Protocol]:
    """The protocol for a time limit: uvicorn takes a class."""
    return type("Prompt", (_Prompt,), {"seconds": seconds})
