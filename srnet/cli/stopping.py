"""Signals that ask a run to end, heeded where it can end well."""

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


@contextmanager
def interrupted_once() -> Iterator[None]:
    """The first Ctrl-C or SIGTERM is felt as ever; those after it are not, as the run is ending.

    What is at work then is one batch of a network and a file for each encoder. Cut off, PyTorch
    would abort the process, and nobody would be told what was made.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    felt = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        handler = before[signal.Signals(number)]
        if not felt.is_set() and callable(handler):
            felt.set()
            handler(number, frame)

    main = threading.current_thread() is threading.main_thread()  # which alone feels signals
    heeded = [number for number, handler in before.items() if main and callable(handler)]
    for number in heeded:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, before[number])
