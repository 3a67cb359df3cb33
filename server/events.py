"""How a job goes on, as server-sent events: what an EventSource of a browser reads."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from server.jobs import Jobs
from server.store import Job


def event(shown: Mapping[str, Any]) -> str:
    """One event, of what is shown of a job. Its id is the state: see :func:`heard`."""
    return f"id: {shown['state']}\nevent: state\ndata: {json.dumps(shown)}\n\n"


def heard(job: Job, last: str | None) -> bool:
    """Whether ``last``, the id of the last event that somebody received, was of the job's end."""
    return job.ended and last == job.state


class Events(StreamingResponse):
    """The events up to the end of a job; gives its place back, however it ends.

    The place is that of :meth:`Jobs.open_stream`.
    """

    def __init__(self, jobs: Jobs, job: Job, owner: str) -> None:
        headers = {"X-Accel-Buffering": "no"}
        super().__init__(_lines(jobs, job, owner), 200, headers, "text/event-stream")
        self._jobs = jobs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the base class."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._jobs.close_stream()


async def _lines(jobs: Jobs, job: Job, owner: str) -> AsyncIterator[str]:
    async for shown in jobs.follow(job, owner):
        yield ": still there\n\n" if shown is None else event(shown)
