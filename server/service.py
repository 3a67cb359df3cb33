"""What the routes share: settings, models, the line of waiting pictures, worker threads."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import secrets
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from fastapi import Request
from starlette.concurrency import run_in_threadpool

from server import folders, memory
from server.ending import CHECKPOINT, CLOSED, Ending
from server.gate import Gate
from server.metrics import Metrics
from server.problems import Problem, shutting_down
from server.query import Wishes, chosen
from server.settings import MEGA, Settings
from server.upload import Uploads
from server.work import Result, Stop, Task, inspect
from srnet.errors import Cancelled, SRNetError
from srnet.image import Header
from srnet.upscaler import Upscaler

T = TypeVar("T")
log = logging.getLogger("srnet.server")

_TRIM = 5.0  # seconds between giving freed memory back
_INSPECTED = 2  # pictures whose headers are read at once: the whole file is in memory for that


class Service:
    """Owned by one application; everything but the work itself happens in its event loop."""

    def __init__(self, settings: Settings, upscalers: Mapping[str, Upscaler]) -> None:
        self.settings = settings
        self.upscalers = dict(upscalers)
        self.metrics = Metrics()
        self.gate = Gate(settings.running, settings.waiting)
        self.spool = settings.data_dir / folders.SPOOL
        self.uploads = Uploads(settings, self.spool)
        self.opened = asyncio.Event()  # once the models are loaded
        self.failure: Exception | None = None  # why they cannot be
        self.ending = Ending(settings.grace_seconds)
        self._worked = False  # since memory was trimmed
        self._active: dict[Stop, Future[Any]] = {}
        self._pool = ThreadPoolExecutor(
            settings.running + settings.jobs_running, "work", initializer=_be_nice
        )
        self._inspectors = ThreadPoolExecutor(_INSPECTED, "inspect")
        self._background: set[asyncio.Task[None]] = set()
        self._watch()

    def _watch(self) -> None:
        self.metrics.in_progress.labels("requests").set_function(lambda: self.gate.running)
        self.metrics.queue.labels("requests").set_function(lambda: self.gate.waiting)
        self.metrics.uploads.set_function(lambda: self.uploads.count)

    async def start(self) -> None:
        """Make the folders, and load the weights while the service answers already."""
        self._loop = asyncio.get_running_loop()
        folders.clear_spool(self.settings.data_dir)
        self._spawn(self._warm_up())
        self._spawn(self._trim())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _warm_up(self) -> None:
        try:
            await self._loop.run_in_executor(self._pool, self._run_one_tile_each)
        except Exception as error:
            self.failure = error
            known = isinstance(error, SRNetError)
            log.error("the models cannot be used: %s", error, exc_info=None if known else error)
        else:
            self.opened.set()
            log.info("ready: %s", ", ".join(self.upscalers))

    def _run_one_tile_each(self) -> None:
        batch = np.zeros((1, self.settings.tile, self.settings.tile, 3), np.float32)
        for upscaler in self.upscalers.values():
            for engine in upscaler.engines.values():
                next(iter(engine.run([batch])))

    async def _trim(self) -> None:
        while True:
            await asyncio.sleep(_TRIM)
            if self._worked:
                self._worked = False
                await run_in_threadpool(memory.trim)

    @property
    def draining(self) -> bool:
        """Whether no more work is taken."""
        return self.ending.begun

    def begin_drain(self, since: float | None = None) -> None:
        """Take no more work; what runs may end within the grace period, which began ``since``."""
        if not self.draining:
            self.ending.begin(since)
            self._loop.call_later(self.ending.left(CHECKPOINT), self._stop_all)

    def _stop_all(self) -> None:
        for stop in list(self._active):
            stop.asked = True

    async def close(self) -> None:
        """Wait for what runs, as long as the grace period allows."""
        self.begin_drain()
        while self._active and self.ending.left(CHECKPOINT):
            await asyncio.sleep(0.02)
        self._stop_all()
        while self._active and self.ending.left(CLOSED):
            await asyncio.sleep(0.02)
        for task in self._background:
            task.cancel()
        for pool in (self._pool, self._inspectors):
            pool.shutdown(wait=False, cancel_futures=True)

    @property
    def busy(self) -> bool:
        """Whether a thread still works on a picture, or loads the models."""
        loading = self.failure is None and not self.opened.is_set()
        return loading or bool(self._active)

    def check_open(self) -> None:
        """Refuse work that cannot be done now.

        Raises:
            Problem: the models are not loaded yet, or the service shuts down.
        """
        if self.draining:
            raise shutting_down()
        if self.failure is not None:
            raise Problem(
                "not-ready", "The models cannot be used: the log of the service tells why."
            )
        if not self.opened.is_set():
            raise Problem("not-ready", "The models are being loaded: try again.", retry_after=2)

    def check_wishes(self, wishes: Wishes) -> None:
        """Refuse, before there is a picture, what could work for none.

        Raises:
            Problem: no such model, or several sizes.
            SRNetError: options that exclude each other.
        """
        _, upscaler = chosen(wishes.model, self.upscalers)
        wishes.options(upscaler.options, MEGA)

    def task(
        self,
        wishes: Wishes,
        data: Callable[[], bytes],
        accept: str,
        max_megapixels: float = math.inf,
    ) -> tuple[str, Task]:
        """What is to be done with a picture, and the name of the model that does it.

        Raises:
            Problem: an option that cannot work.
        """
        model, upscaler = chosen(wishes.model, self.upscalers)
        limit = int(min(self.settings.max_megapixels, max_megapixels) * MEGA)
        options = wishes.options(upscaler.options, limit)
        return model, Task(upscaler, options, data, accept, self.spool)

    async def inspect(self, task: Task) -> Header:
        """Refuse a picture by its header; few are looked at at once, as memory is bounded.

        Raises:
            SRNetError: see :func:`server.work.inspect`.
        """
        return await self._loop.run_in_executor(self._inspectors, inspect, task)

    async def perform(self, work: Callable[[Stop], Result]) -> Result:
        """Wait for a place, then run ``work`` in a thread.

        Cancelling stops the work within one batch; the place is free when it has stopped.

        Raises:
            Problem: the line is full, or the service shuts down.
            SRNetError: what ``work`` raised.
        """
        start = time.perf_counter()
        await self.gate.enter()
        queued = time.perf_counter() - start
        with self.submitted(Stop(), work, self.gate.leave) as future:
            try:
                result = await asyncio.shield(future)
            except asyncio.CancelledError:
                future.add_done_callback(_discard)  # it may have ended all the same
                raise
            except Cancelled as error:
                raise shutting_down() from error
        result = replace(result, seconds={"queue": queued, **result.seconds})
        self.account(result)
        return result

    @contextmanager
    def submitted(
        self,
        stop: Stop,
        work: Callable[[Stop], T],
        ended: Callable[[float], None] = lambda _: None,
    ) -> Iterator[asyncio.Future[T]]:
        """Run ``work`` in a thread for the length of the block; leaving the block stops it.

        ``ended`` is called in the event loop when the thread has really ended, with the
        seconds that it took.
        """
        start = time.perf_counter()
        stop.asked = stop.asked or (self.draining and not self.ending.left(CHECKPOINT))

        def on_end() -> None:
            self._active.pop(stop, None)
            self._worked = True
            ended(time.perf_counter() - start)

        def on_thread_end(_: Future[T]) -> None:
            with suppress(RuntimeError):  # the loop is closed: the process is about to end
                self._loop.call_soon_threadsafe(on_end)

        future = self._pool.submit(work, stop)
        self._active[stop] = future
        future.add_done_callback(on_thread_end)
        wrapped = asyncio.wrap_future(future)
        # Somebody who stopped waiting need not hear how it ended.
        wrapped.add_done_callback(lambda f: f.cancelled() or f.exception())
        try:
            yield wrapped
        finally:
            stop.asked = True

    def account(self, result: Result) -> None:
        """Count a finished picture."""
        for stage, seconds in result.seconds.items():
            self.metrics.stages.labels(stage).observe(seconds)
        for direction, (width, height) in (("in", result.origin), ("out", result.size)):
            pixels = width * height * result.frames
            self.metrics.megapixels.labels(direction).inc(pixels / 1e6)


def service_of(request: Request) -> Service:
    """The service behind a request."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


def new_id() -> str:
    """An identifier that nobody can guess."""
    return secrets.token_hex(16)


def _be_nice() -> None:
    """Let the event loop go first: on Linux, niceness is of the thread."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)


def _discard(future: asyncio.Future[Any]) -> None:
    if not future.cancelled() and future.exception() is None:
        future.result().blob.discard()
