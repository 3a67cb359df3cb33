"""Jobs: pictures that are worked on after the request has been answered."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, BinaryIO

from server import room
from server.blobs import Blob
from server.line import Line, too_large_to_keep
from server.negotiate import essence
from server.problems import Problem
from server.query import Wishes
from server.service import Service, new_id
from server.store import CANCELLED, DONE, FAILED, ROW, Job, shown
from server.upload import Limit, Upload
from server.wording import waiting
from server.work import decided

_EVERY = 0.2  # seconds between two events at least
_SILENCE = 15.0  # seconds without an event at most


class Jobs:
    """What callers can do with jobs. Used from the event loop only."""

    def __init__(self, service: Service, line: Line) -> None:
        self._service = service
        self._settings = service.settings
        self._line = line
        self._making = asyncio.Lock()  # so that two requests with one key make one job
        self._streams, self._most_streams = 0, room.streams(service.settings)

    async def check(self, owner: str, key: str | None) -> None:
        """Refuse if the line is full, unless a job was made with that key already.

        Raises:
            Problem: ``queue-full``.
        """
        if key is None or await self._line.on_disk(self._line.store.with_key, owner, key) is None:
            self._check_line()

    def _check_line(self) -> None:
        if self._line.waiting >= self._settings.jobs_waiting:
            detail = f"{waiting(self._line.waiting, 'job')} already: try again later."
            raise Problem("queue-full", detail, retry_after=30)

    def limit(self) -> Limit:
        """What no picture may exceed, since it could never be kept."""
        most = self._settings.store_bytes
        return Limit(most - ROW, too_large_to_keep(most, "is more"))

    async def create(
        self,
        upload: Upload,
        wishes: Wishes,
        accept: str,
        owner: str,
        key: str | None,
        request_id: str = "",
    ) -> Job:
        """A new job for a picture, or the one that was made with the same key.

        A job that failed for reasons of the service's own is no answer to a second try.

        Raises:
            Problem: the key belongs to another request, the line or the disk is full.
            SRNetError: what would fail anyway.
        """
        request = f"{upload.sha256} {wishes.model_dump_json()} {accept}"
        if known := await self._known(owner, key, request):
            return known
        self._check_line()
        model, task = self._service.task(wishes, upload.blob.read, accept)
        header = await self._service.inspect(task)  # seconds for some: no others wait for them
        decided(task, header)
        job = Job(
            id=new_id(),
            owner=owner,
            key=key,
            fingerprint=_digest(request),
            model=model,
            wishes=wishes.model_dump(exclude_none=True),
            accept=essence(accept),
            name=upload.name,
            input_bytes=upload.blob.size,
            width=header.width,
            height=header.height,
            created=time.time(),
            request_id=request_id,
        )
        async with self._making:
            if known := await self._known(owner, key, request):  # by a request beside this
                return known
            self._check_line()
            await self._add(job, upload)
        return job

    async def _known(self, owner: str, key: str | None, request: str) -> Job | None:
        """The job that was made with a key, unless it is worth making again.

        Raises:
            Problem: the key belongs to another request.
        """
        if key is None:
            return None
        known = await self._line.on_disk(self._line.store.with_key, owner, key)
        if known is None or _worth_again(known):
            return None
        _check_same(known, request)
        return await self.get(known.id, owner)

    async def _add(self, job: Job, upload: Upload) -> None:
        async with self._line.room:
            await self._line.make_room(upload.blob.size + ROW)
            await self._line.on_disk(self._write, job, upload)
        self._line.join(job)

    def _write(self, job: Job, upload: Upload) -> None:
        """Write the picture, then the row, or nothing: the disk may be full."""
        target = self._line.store.input(job.id)
        upload.blob.move(target)
        try:
            self._line.store.add(job)
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    async def get(self, job_id: str, owner: str) -> Job:
        """A job of a caller.

        Raises:
            Problem: there is none, or it has expired.
        """
        live = self._line.live.get(job_id)
        job = live.job if live else await self._line.on_disk(self._line.store.find, job_id)
        if job is None or job.owner != owner:
            raise self._gone()
        return job

    def _gone(self) -> Problem:
        kept = f"{self._settings.keep_seconds:g} s"
        detail = f"There is no such job. Results are kept for {kept}: make a new job."
        return Problem("not-found", detail)

    async def delete(self, job_id: str, owner: str) -> None:
        """Stop a job within one batch, and forget it.

        Raises:
            Problem: there is none.
        """
        await self.get(job_id, owner)
        await self._line.on_disk(self._line.store.delete, job_id)  # if it fails, all stays
        live = self._line.live.pop(job_id, None)
        if live and live.stop:
            live.stop.asked = True

    async def result(self, job_id: str, owner: str) -> Job:
        """A job that is done; its picture is :meth:`picture`.

        Raises:
            Problem: not yet, or never.
        """
        job = await self.get(job_id, owner)
        if job.state == DONE:
            return job
        if job.ended:
            reason = (job.error or {}).get("detail", "")
            raise Problem("job-failed", f"The job {job.state}: {reason}")
        raise Problem("job-not-done", f"The job is {job.state}: ask again later.", retry_after=1)

    async def picture(self, job: Job) -> BinaryIO:
        """The result of a job that is done; it can be read even if the job is deleted meanwhile.

        Raises:
            Problem: it just was.
        """
        try:
            return await Blob(job.bytes, path=self._line.store.result(job.id)).open()
        except FileNotFoundError as error:
            raise self._gone() from error

    def view(self, job: Job) -> dict[str, Any]:
        """What the caller is shown of a job."""
        return shown(job, self._line.progress(job), self._line.place(job))

    def open_stream(self) -> None:
        """Take a place among those that follow a job; :meth:`close_stream` gives it back.

        Raises:
            Problem: there is none.
        """
        if self._streams >= self._most_streams:
            detail = "Too many jobs are followed at once: ask for the job itself now and then."
            raise Problem("busy", detail, retry_after=5)
        self._streams += 1

    def close_stream(self) -> None:
        """Somebody follows no more."""
        self._streams -= 1

    async def follow(self, job: Job, owner: str) -> AsyncIterator[dict[str, Any] | None]:
        """What is shown of a job, at each change, up to its end; None in long silences."""
        last: dict[str, Any] | None = None
        since = time.monotonic()
        live = self._line.live.get(job.id)
        while True:
            try:
                job = await self.get(job.id, owner)
            except Problem:  # deleted, or ended and gone already to make room
                yield self._last_seen(live.job if live else job, last)
                return
            now = self.view(job)
            if now != last or time.monotonic() - since > _SILENCE:
                yield now if now != last else None
                last, since = now, time.monotonic()
            if job.ended or self._service.draining:
                return
            await asyncio.sleep(_EVERY)

    def _last_seen(self, job: Job, last: dict[str, Any] | None) -> dict[str, Any]:
        """What is shown at the end of a job that is there no more."""
        if job.ended:
            return self.view(job)
        return shown(replace(job, state=CANCELLED), last["progress"] if last else 0.0, None)


def _worth_again(job: Job) -> bool:
    """Whether it failed, and not by anything that was sent: killed twice, no memory, no disk."""
    return job.state == FAILED and (job.error or {}).get("status") in (500, 503)


def _digest(request: str) -> str:
    return hashlib.sha256(request.encode()).hexdigest()


def _check_same(known: Job, request: str) -> None:
    if known.fingerprint not in (_digest(request), request):  # jobs of older versions have it whole
        raise Problem(
            "key-reused",
            "This Idempotency-Key was sent with another picture or other options: "
            "use a new key for a new request.",
        )
