"""The line of jobs: which run, which wait, and what becomes of them."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool

from server.ending import WRITTEN
from server.problems import Problem, from_disk, from_error
from server.query import Wishes
from server.service import Service
from server.settings import MEGA
from server.store import DONE, FAILED, QUEUED, ROW, RUNNING, Job, Store
from server.work import Result, Stop, Task, enlarge
from srnet.errors import Cancelled, SRNetError

T = TypeVar("T")
log = logging.getLogger("srnet.server")

_ATTEMPTS = 2  # a job that was cut off runs once more
_SWEEP = 15.0  # seconds between looking for results that have expired
_AGAIN = 5.0  # seconds until what could not be written is tried again


@dataclass
class Live:
    """A job that has not ended, and what asks its work to stop."""

    job: Job
    stop: Stop | None = None  # once it runs
    late: bool = False
    since: float = field(default_factory=time.perf_counter)  # it waits

    @property
    def waiting(self) -> bool:
        """Whether it has not begun."""
        return self.stop is None

    def expire(self) -> None:
        """Its time is over."""
        self.late = True
        if self.stop is not None:
            self.stop.asked = True


def too_large_to_keep(limit: int, what: str) -> Problem:
    """What is said of a job that can never fit into ``limit`` bytes."""
    detail = f"Jobs here may keep {limit / MEGA:g} MB, and this {what}: send it to /v1/upscale, "
    return Problem("too-large-to-keep", detail + "or make it smaller.")


def _told(live: Live, error: Exception) -> Problem:
    """What is said of an error that is not of the picture; the log has the rest."""
    problem = from_disk(error)
    if problem is None:
        log.error("job %s failed", live.job.id, exc_info=error)
        problem = Problem("internal", "The service failed; its log says why.")
    return problem


class Line:
    """Runs jobs in the order in which they came. Used from the event loop only."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._settings = service.settings
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.room = asyncio.Lock()  # held from make_room until what needs it is on disk
        self.live: dict[str, Live] = {}  # those that have not ended, in their order
        metrics = service.metrics
        metrics.in_progress.labels("jobs").set_function(lambda: len(self.live) - self.waiting)
        metrics.queue.labels("jobs").set_function(lambda: self.waiting)

    async def start(self) -> None:
        """Open the store, and go on with what was not finished."""
        self._store = await run_in_threadpool(Store, self._settings.data_dir)
        for job in await self.on_disk(self._store.unfinished):
            self.live[job.id] = Live(replace(job, state=QUEUED))
        workers = [self._run_jobs() for _ in range(self._settings.jobs_running)]
        self._tasks = [asyncio.create_task(work) for work in (*workers, self._sweep())]

    async def close(self) -> None:
        """End; jobs that did not are in line again at the next start."""
        for live in list(self.live.values()):
            if live.stop is not None and live.job.state == RUNNING:
                await self._put_back(live)  # some cannot be stopped in time, by nothing
        ending = self._service.ending  # those that were stopped just now are to be written down
        while any(live.stop for live in self.live.values()) and ending.left(WRITTEN):
            await asyncio.sleep(0.02)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._store.close()

    @property
    def store(self) -> Store:
        """The jobs on disk."""
        return self._store

    @property
    def waiting(self) -> int:
        """How many have not begun."""
        return sum(live.waiting for live in self.live.values())

    async def on_disk(self, what: Callable[..., T], *values: Any) -> T:
        """Call something that blocks."""
        return await run_in_threadpool(what, *values)

    def join(self, job: Job) -> None:
        """Put a job, which is on disk already, at the end of the line."""
        self.live[job.id] = Live(job)
        self._wake.set()

    def place(self, job: Job) -> int | None:
        """Its place among those that wait, from 1."""
        waiting = [key for key, live in self.live.items() if live.waiting]
        return waiting.index(job.id) + 1 if job.id in waiting else None

    def progress(self, job: Job) -> float:
        """How far it is, or got, from 0 to 1; it is 1 only when the result is there."""
        if job.ended:
            return 1.0 if job.state == DONE else job.reached
        live = self.live.get(job.id)
        if live is None or live.stop is None:
            return 0.0
        return round(0.98 * live.stop.progress, 4)

    async def make_room(self, needed: int, held: int = 0) -> None:
        """Delete old jobs until ``needed`` more bytes fit, beside ``held`` of the same job.

        Whoever asks holds ``room``: else two would be told of the same bytes.

        Raises:
            Problem: they never can, or the rest is of jobs that have not ended.
        """
        limit = self._settings.store_bytes
        if needed + held > limit:
            raise too_large_to_keep(limit, f"takes {(needed + held) / MEGA:.3g} MB")
        if not await self.on_disk(self._store.make_room, needed, limit):
            raise Problem(
                "busy", "The disk space for jobs is used up: try again later.", retry_after=60
            )

    async def _run_jobs(self) -> None:
        await self._service.opened.wait()
        while True:
            live = self._next()
            if live is None:
                self._wake.clear()
                await self._wake.wait()
                continue
            live.stop = Stop()
            if await self._begin(live):
                await self._run(live, live.stop)
                self.live.pop(live.job.id, None)
            else:
                live.stop = None  # it keeps its place
                await asyncio.sleep(_AGAIN)

    def _next(self) -> Live | None:
        if self._service.draining:
            return None
        return next((live for live in self.live.values() if live.waiting), None)

    async def _begin(self, live: Live) -> bool:
        """Count the attempt on disk, before it is made; whether that could be written."""
        job = replace(live.job, state=RUNNING, attempts=live.job.attempts + 1)
        try:
            await self.on_disk(self._store.change, job)
        except Exception as error:
            _told(live, error)
            return False
        live.job = job
        return True

    async def _run(self, live: Live, stop: Stop) -> None:
        timer = asyncio.get_running_loop().call_later(self._settings.job_time_limit, live.expire)
        try:
            await self._work(live, stop)
        except Cancelled:
            await self._cut_off(live)
        except SRNetError as error:
            await self._fail(live, from_error(error))
        except Problem as problem:
            await self._fail(live, problem)
        except Exception as error:  # whatever it is, the next job gets its turn
            if self._there(live):  # else the picture went with it, and nobody asks any more
                await self._fail(live, _told(live, error))
        finally:
            timer.cancel()

    async def _work(self, live: Live, stop: Stop) -> None:
        if live.job.attempts > _ATTEMPTS:
            raise Problem("internal", "The service was cut off twice during this job.")
        queued = time.perf_counter() - live.since
        task = self._task(live.job)
        with self._service.submitted(stop, functools.partial(enlarge, task)) as future:
            result = await asyncio.shield(future)
        await self._finish(live, replace(result, seconds={"queue": queued, **result.seconds}))

    def _there(self, live: Live) -> bool:
        """Whether a job was not deleted meanwhile."""
        return self.live.get(live.job.id) is live

    def _task(self, job: Job) -> Task:
        wishes = Wishes(**{**job.wishes, "model": job.model})
        read = self._store.input(job.id).read_bytes
        return self._service.task(wishes, read, job.accept)[1]

    async def _finish(self, live: Live, result: Result) -> None:
        width, height = result.size
        sizes = {"bytes": result.blob.size, "width": width, "height": height}
        output = {**sizes, "format": result.format, **result.lacks}
        try:
            async with self.room:
                if live.late or not self._there(live):
                    raise Cancelled("it was too late to stop the encoder")
                await self.make_room(result.blob.size, live.job.input_bytes + ROW)
                await self.on_disk(result.blob.move, self._store.result(live.job.id))
                job = self._ended(
                    live,
                    DONE,
                    output=output,
                    seconds=round(sum(result.seconds.values()) - result.seconds["queue"], 3),
                    stages=result.seconds,
                    consistency_db=result.consistency_db and round(result.consistency_db, 2),
                )
                await self.on_disk(self._store.change, job)
        finally:
            await self.on_disk(result.blob.discard)
        live.job = job
        self._service.account(result)

    async def _cut_off(self, live: Live) -> None:
        if live.late:
            limit = self._settings.job_time_limit
            detail = f"The job was not done within {limit:g} s: choose a smaller scale or picture."
            await self._fail(live, Problem("time-limit", detail))
        elif self._service.draining:
            await self._put_back(live)

    async def _put_back(self, live: Live) -> None:
        """In line again at the next start, as if it had not begun: it was not the job's fault."""
        again = replace(live.job, state=QUEUED, attempts=live.job.attempts - 1)
        try:
            await self.on_disk(self._store.put_back, again)
        except Exception as error:  # the others are put back all the same
            _told(live, error)

    async def _fail(self, live: Live, problem: Problem) -> None:
        """End a job without a result, as soon as the disk lets: else it would be nobody's."""
        self._service.metrics.rejected.labels(problem.kind).inc()
        job = self._ended(live, FAILED, error=problem.members(live.job.request_id or None))
        while self._there(live):
            try:
                await self.on_disk(self._store.change, job)
            except Exception as error:
                _told(live, error)
                await asyncio.sleep(_AGAIN)
            else:
                live.job = job
                return

    def _ended(self, live: Live, state: str, **changes: Any) -> Job:
        expires = time.time() + self._settings.keep_seconds
        reached = self.progress(live.job)
        return replace(live.job, state=state, expires=expires, reached=reached, **changes)

    async def _sweep(self) -> None:
        while True:
            try:
                await self.on_disk(self._store.expire)
            except Exception:
                log.exception("old results cannot be removed")
            await asyncio.sleep(_SWEEP)
