"""Running the service: one process, an orderly end."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from server import folders, memory, room
from server.app import create_app
from server.ending import CUT, LATEST_DRAIN, OVER, WRITTEN
from server.prompt import HEAD, prompt
from server.service import Service
from server.settings import Settings
from server.store import Store
from srnet.errors import OptionError, SetupError
from srnet.upscaler import Upscaler

log = logging.getLogger("srnet.server")

_BACKLOG = 512  # connections that wait to be accepted
# Accepted in one turn of the event loop. Only in the next does the protocol see them, and can
# refuse what is too much: all of the backlog in one turn would be more files than a process has.
_AT_ONCE = 8
# Seconds that a connection may be idle after an answer. Proxies keep theirs for 60: who ends it
# first must be they, or now and then one sends a request into a connection that just closed.
_IDLE = 75
_TEARDOWN = 1.5  # seconds that the interpreter may take to end, with all its modules


def run(settings: Settings, upscalers: Mapping[str, Upscaler] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; then end what runs, as far as the grace period allows.

    ``upscalers`` as for :func:`server.app.create_app`.

    Raises:
        SRNetError: unknown model, no weights, no such device, or a data folder that cannot be used.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("uvicorn.error").addFilter(_something_was_left)
    memory.bound()
    room.make(settings)
    for sentence in room.lacking(settings):
        log.warning(sentence)
    with _only_one(settings.data_dir):
        # What is damaged is told of before anything starts.
        Store(settings.data_dir).close()
        folders.clear_spool(settings.data_dir)
        app = create_app(settings, upscalers)
        service: Service = app.state.service
        with _bound(settings) as listener:
            _serve(app, listener, settings)
        logging.shutdown()
        if service.busy or service.ending.left(1) < _TEARDOWN:
            # A thread is inside a decoder or encoder, or loads the models, which nothing can stop;
            # its job, if it is one, is written down; the interpreter would wait for it for ever.
            os._exit(0)


def _something_was_left(record: logging.LogRecord) -> bool:
    """Not so when uvicorn reports "Cancel 0 running task(s)" at the end of the grace period."""
    return not (record.args == (0,) and str(record.msg).startswith("Cancel "))


def _serve(app: FastAPI, listener: socket.socket, settings: Settings) -> None:
    config = uvicorn.Config(
        app,
        http=prompt(settings),
        h11_max_incomplete_event_size=HEAD,
        ws="none",  # whatever is installed
        backlog=_AT_ONCE,
        timeout_keep_alive=_IDLE,
        access_log=False,  # ours has the request id
        server_header=False,
        log_config=None,
    )
    host, port = listener.getsockname()[:2]
    log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
    try:
        Server(config, app.state.service).run([listener])
    except SystemExit as error:  # uvicorn's, whose code 3 means something else here
        raise SetupError("the service could not start; the lines above say why") from error
    if (failure := app.state.service.failure) is not None:
        raise failure


def _bound(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With the protocol named, asyncio turns Nagle's algorithm off; else answers wait 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise OptionError(
            f"cannot listen on {settings.host} port {settings.port} ({error.strerror}): "
            "choose another --port, or an address of this machine as --host"
        ) from error
    return listener


class Server(uvicorn.Server):
    """Drains at the first signal, and does not die of it afterwards: the exit status is 0."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._told: float | None = None  # time.monotonic() of the first signal
        self._patient = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; the backlog of uvicorn is also what it accepts at once, ours is longer."""
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(_BACKLOG)

    async def on_tick(self, counter: int) -> bool:
        """End where the models cannot be used: whoever runs the service should know."""
        self.should_exit = self.should_exit or self._service.failure is not None
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Be told to end; Ctrl-C twice means at once."""
        if self._told is None:
            self._told = time.monotonic()
            self._patient = sig == signal.SIGTERM  # nobody balances load by Ctrl-C
        elif sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    async def shutdown(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """End in order, within the grace period: see ``server/ending.py``."""
        ending = self._service.ending
        self._service.begin_drain(self._told)
        if self._told is not None:
            _end_in(ending.left(OVER))
        await self._let_it_be_known()
        cut: Any = max(0.05, ending.left(CUT) - 0.1)  # uvicorn itself waits for 0.1 s
        self.config.timeout_graceful_shutdown = cut  # a number is as good as its int
        await super().shutdown(sockets)  # type: ignore[arg-type]
        while self.server_state.tasks and ending.left(WRITTEN):  # refused, and told so
            await asyncio.sleep(0.02)

    async def _let_it_be_known(self) -> None:
        """Let those who ask find that the service ends, instead of a closed port."""
        if self._patient and self._service.opened.is_set():
            ending, seconds = self._service.ending, self._service.settings.drain_seconds
            share = min(LATEST_DRAIN, seconds / ending.seconds)
            while ending.left(share) and not self.force_exit:
                await asyncio.sleep(0.02)


def _end_in(seconds: float) -> None:
    """End the process then if it has not ended: what hangs is of no use to anybody."""

    def end() -> None:
        log.warning("not everything ended within the grace period: cut off")
        logging.shutdown()
        os._exit(0)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the data folder: two servers on one would run each other's jobs."""
    try:
        folder.mkdir(folders.ALONE, parents=True, exist_ok=True)
        file = (folder / "lock").open("w")
    except OSError as error:
        raise OptionError(
            f"the data folder {folder} cannot be written ({error.strerror}): "
            "set SRNET_DATA_DIR to one that can"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OptionError(
                f"another server uses the data folder {folder}: "
                "stop it, or set SRNET_DATA_DIR to another folder"
            ) from error
        yield
