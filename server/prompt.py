"""Connections must say what they want and take what they get: an end for those that do not.

What is no HTTP gets a problem for an answer, like everything else that is wrong.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import re
import socket
import sys
import termios
from contextlib import suppress

import h11
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from server import room
from server.metrics import Metrics
from server.problems import MEDIA_TYPE, Problem
from server.service import new_id
from server.settings import Settings

log = logging.getLogger("srnet.server")

HEAD = 1 << 15  # bytes before the body of a request: what is longer by a piece is refused
_QUOTED = re.compile(r":? (bytearray\()?b['\"].*")  # part of a head: it may be a key
_PIECE = 1 << 13  # bytes that are looked at before it is the turn of others
METRICS = "metrics"  # in the state that the application gives to its connections
_CROWDED = "crowded"
_HURRY = 2.0  # seconds that those may say nothing
_SO_NWRITE = 0x1024  # of macOS: bytes that the other side has not taken


class _Prompt(H11Protocol, asyncio.BufferedProtocol):
    """The protocol of uvicorn, which waits no longer than ``seconds``, and reads by small pieces.

    It waits so long for the head of a request, and for somebody to take what was sent: without
    an end, a thousand silent connections use up the files that a process may open. Of a body in
    chunks of one byte, the 256 KB that asyncio reads at once would hold up everybody for a second.
    """

    seconds: float
    most: int  # connections; so many beyond are served health only, and end soon
    spare: int
    _timer: asyncio.TimerHandle | None = None
    _untaken: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._piece = bytearray(_PIECE)
        transport.set_write_buffer_limits(0)  # so that all that is not taken pauses the writing
        self._make_way()
        beyond = len(self.connections) - self.most
        if beyond > self.spare:
            transport.abort()
            return
        if beyond > 0:
            self.app_state = {**self.app_state, _CROWDED: True}
            self.seconds = min(self.seconds, _HURRY)
        self._watch()

    def _make_way(self) -> None:
        """Where all places are taken, give that of whoever is idle longest to this connection."""
        if len(self.connections) <= self.most:
            return
        others = [one for one in self.connections if isinstance(one, _Prompt)]
        idle = {
            one: timer.when()
            for one in others
            if (timer := one.timeout_keep_alive_task) and not one.transport.get_write_buffer_size()
        }
        if idle:
            longest = min(idle, key=lambda one: idle[one])
            longest.transport.close()
            self.connections.discard(longest)  # asyncio does so only in the next turn

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - ours is smaller
        return self._piece

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._piece[:nbytes]))
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait_for(self._left())

    def _left(self) -> int:
        """Bytes that were not taken: the kernel keeps megabytes, and asks for more by a third."""
        in_kernel = _unsent(self.transport.get_extra_info("socket"))
        return self.transport.get_write_buffer_size() + in_kernel

    def _wait_for(self, left: int) -> None:
        """Cut off who takes nothing of it: to close would wait until all was taken."""

        def look() -> None:
            now = self._left()
            if now < left:
                self._wait_for(now)
                return
            words = "cut off %s, who took nothing of an answer for %g s"
            log.info(words, self._who(), self.seconds)
            self.transport.abort()

        self._untaken = self.loop.call_later(self.seconds, look)

    def resume_writing(self) -> None:
        self._taken()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._taken()
        super().connection_lost(exc)

    def _who(self) -> str:
        return self.client[0] if self.client else "somebody"

    def _count(self, problem: Problem, request_id: str) -> None:
        """Log and count what is refused here, as ``server/edge.py`` does all else."""
        metrics: Metrics = self.app_state[METRICS]
        metrics.requests.labels("none", "none", str(problem.status)).inc()
        metrics.rejected.labels(problem.kind).inc()
        reason = _QUOTED.sub("", str(sys.exc_info()[1]))  # of h11
        words = "no request from %s (%s) %d %s"
        log.info(words, self._who(), reason, problem.status, request_id)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - it says nothing
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # it has an answer already
            self.transport.close()
            return
        request_id = new_id()
        detail = "This is no HTTP/1.1 request with one Host, or its head is too long: try http."
        problem = Problem("malformed-request", detail)
        self._count(problem, request_id)
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

    def _unsupported_upgrade_warning(self) -> None:
        """Anybody may ask for a WebSocket; none is missing, as the log would say."""

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()  # the head is there
        elif self._timer is None:
            self._timer = self.loop.call_later(self.seconds, self.transport.close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _taken(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None


def _unsent(connection: socket.socket | None) -> int:
    """Bytes that the kernel holds for the other side; 0 where it does not tell."""
    if connection is not None:
        with suppress(OSError):
            if sys.platform == "darwin":
                return connection.getsockopt(socket.SOL_SOCKET, _SO_NWRITE)
            told = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
            return int.from_bytes(told, sys.byteorder)
    return 0


def crowded(scope: Scope) -> bool:
    """Whether a request came over a connection beyond the limit."""
    return bool(scope.get("state", {}).get(_CROWDED))


def prompt(settings: Settings) -> type[H11Protocol]:
    """The protocol with the limits of the settings: uvicorn takes a class."""
    limits = {
        "seconds": settings.stall_seconds,
        "most": room.connections(settings),
        "spare": room.spare(),
    }
    return type("Prompt", (_Prompt,), limits)
