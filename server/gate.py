"""Admission: so many run, so many wait in line, the rest are refused at once."""

from __future__ import annotations

import asyncio
from collections import deque

from server.problems import Problem
from server.wording import waiting


class Gate:
    """A queue with an end. Used from the event loop only."""

    def __init__(self, running: int, waiting: int) -> None:
        self._places = running
        self._room = waiting
        self._taken = 0
        self._line: deque[asyncio.Future[None]] = deque()
        self._seconds = 1.0  # what a picture takes, running mean

    @property
    def running(self) -> int:
        """Places that are taken."""
        return self._taken

    @property
    def waiting(self) -> int:
        """Callers in line."""
        return len(self._line)

    @property
    def full(self) -> bool:
        """Whether the next caller would have to wait."""
        return self._taken >= self._places

    def check(self) -> None:
        """Refuse if there is no room.

        Raises:
            Problem: ``queue-full``, with the seconds after which to try again.
        """
        if self.full and len(self._line) >= self._room:
            turns = (len(self._line) + 1) / self._places
            seconds = min(120, max(1, round(turns * self._seconds)))
            raise Problem(
                "queue-full",
                f"{waiting(len(self._line), 'picture')} already: try again in {seconds} s.",
                retry_after=seconds,
            )

    async def enter(self) -> None:
        """Wait in line for a place; :meth:`leave` gives it back.

        Raises:
            Problem: the line is full.
        """
        self.check()
        if not self.full:
            self._taken += 1
            return
        mine = asyncio.get_running_loop().create_future()
        self._line.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._pass_on()  # the place came at the moment when we gave up
            elif mine in self._line:
                self._line.remove(mine)
            raise

    def leave(self, seconds: float | None = None) -> None:
        """Give the place to the next in line; ``seconds`` is what the work took."""
        if seconds is not None:
            self._seconds += 0.2 * (seconds - self._seconds)
        self._pass_on()

    def _pass_on(self) -> None:
        while self._line:
            following = self._line.popleft()
            if not following.done():
                following.set_result(None)
                return
        self._taken -= 1
