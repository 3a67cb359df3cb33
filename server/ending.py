"""The grace period: what ends when, from the signal to the end of the process."""

from __future__ import annotations

import time

# Shares of the grace period, in the order in which they come.
LATEST_DRAIN = 0.5  # until here at most, new connections are accepted, to be told the news
CHECKPOINT = 0.7  # what is worked on is asked to stop
CUT = 0.8  # requests that have no answer yet are refused
CLOSED = 0.85  # threads that have not stopped are waited for no longer
WRITTEN = 0.9  # jobs that were stopped are on disk again
OVER = 0.95  # whatever is left is cut off


class Ending:
    """A clock that starts when the service is told to end."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds  # of the whole grace period
        self._since: float | None = None

    @property
    def begun(self) -> bool:
        """Whether the service is about to end."""
        return self._since is not None

    def begin(self, since: float | None = None) -> None:
        """Start the clock, now or at an earlier ``time.monotonic()``."""
        if self._since is None:
            self._since = time.monotonic() if since is None else since

    def left(self, share: float) -> float:
        """Seconds until so much of the grace period is over; 0 if it is."""
        since = time.monotonic() if self._since is None else self._since
        return max(0.0, since + share * self.seconds - time.monotonic())
