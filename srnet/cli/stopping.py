"""Signals that ask a long run to end, heeded where it can end well."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or SIGTERM has come: the step at work ends first. A second one is at once."""
    wished = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        if wished.is_set():
            signal.default_int_handler(number, frame)
        wished.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wished.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
