"""Work for somebody who may go away before it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from server.problems import Problem

T = TypeVar("T")


class ClientGone(Exception):  # noqa: N818 - nothing went wrong here
    """Nobody is left to answer."""


async def while_connected(
    request: Request, work: Coroutine[Any, Any, T], limit: float | None = None
) -> T:
    """The result of ``work``, which is cancelled when the client goes away.

    Raises:
        ClientGone: it did.
        Problem: there was no result within ``limit`` seconds.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if gone.done():
            raise ClientGone
        raise Problem(
            "time-limit",
            f"The picture was not done within {limit:g} s: choose a smaller scale or a "
            "smaller picture, or make a job (POST /v1/jobs).",
        )
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
