"""Many pictures through one upscaler: decoding, network and encoding overlap.

::

    jobs -> [read, decode] x threads -> [network] x 1 -> [encode, check, write] x threads -> rows

A picture enters when its pixels fit into what may be in flight, and the network takes
pictures as they are ready. One that fails never stops the others.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from srnet import tiles
from srnet.errors import (
    Cancelled,
    DeviceError,
    OptionError,
    SetupError,
    SRNetError,
    WeightsError,
)
from srnet.naming import Job
from srnet.options import Options
from srnet.report import Report, Row, Status
from srnet.upscaler import Upscaler
from srnet.work import Existing, Work

IN_FLIGHT = 1 << 30  # bytes of pixels, of inputs and outputs together
_MOST_PICTURES = 32  # in flight, however small they are
_POLL = 0.1  # seconds between looks for Ctrl-C, which does not wake every wait

_log = logging.getLogger(__name__)


class Listener(Protocol):
    """Told how a run goes, from several threads but one call at a time."""

    def started(self, count: int) -> None:
        """There are ``count`` pictures to work on."""

    def advanced(self, part: float, megapixels: float) -> None:
        """Another ``part`` of a picture is done (1 in all), that many output megapixels."""

    def finished(self, row: Row) -> None:
        """A picture is done or failed."""


def run(
    jobs: Sequence[Job],
    upscaler: Upscaler,
    options: Options,
    *,
    existing: Existing = "refuse",
    threads: int = 2,
    in_flight: int = IN_FLIGHT,
    listener: Listener | None = None,
) -> Report:
    """Do all jobs; rows come back in the order of ``jobs``.

    ``threads`` decode, and as many encode. On Ctrl-C (``KeyboardInterrupt``) the batch of
    tiles at work and the files being encoded are finished, and the report is ``interrupted``.

    Raises:
        OptionError: a tile that is too small for this model.
        SRNetError: the network cannot run at all.
    """
    _check_tile(upscaler, options)
    works = [Work(job, upscaler, options, existing) for job in jobs]
    line = _Line(in_flight, listener)
    start = time.perf_counter()
    interrupted = line.run([work for work in works if work.status == "pending"], threads)
    return Report([work.row() for work in works], time.perf_counter() - start, interrupted)


def preview(
    jobs: Sequence[Job], upscaler: Upscaler, options: Options, *, existing: Existing = "refuse"
) -> Report:
    """What :func:`run` would do, from the headers; nothing is written."""
    _check_tile(upscaler, options)
    works = [Work(job, upscaler, options, existing) for job in jobs]
    for work in works:
        if work.status == "pending":
            try:
                work.open()
                work.status = "skipped" if work.target_made else "planned"
            except SRNetError as error:
                work.status, work.error = "failed", str(error)
        work.seconds.clear()
    return Report([work.row() for work in works], dry_run=True)


def _check_tile(upscaler: Upscaler, options: Options) -> None:
    """Refuse a tile that is too small for the model, also where no picture needs more than one.

    Else it would hang on the pictures, and on their order, what becomes of a run. Which networks
    run is known with a factor only; those of other sizes are looked at picture by picture.
    """
    if (options.width, options.height, options.fit) == (None, None, None):
        for engine in upscaler.plan(1, 1, options):  # for a picture just too large for one tile
            tiles.plan(options.tile + 1, 1, options.tile, engine.card.halo)


@dataclass(eq=False)
class _Place:
    """A picture on the line."""

    work: Work
    held: int = 0  # bytes of what may be in flight
    told: float = 0.0  # part of it that the listener knows of


class _Line:
    """The production line of one run."""

    def __init__(self, in_flight: int, listener: Listener | None) -> None:
        self._listener = listener
        self._room = _Room(in_flight)
        self._lock = threading.Lock()
        self._left = 0
        self._stop, self._settled = threading.Event(), threading.Event()
        self._proved = False  # the network has worked once
        self._broken: Exception | None = None

    def run(self, works: Sequence[Work], threads: int) -> bool:
        """Work on all; whether it was interrupted comes back."""
        if not works:
            return False
        self._left, interrupted = len(works), False
        self._tell(lambda listener: listener.started(len(works)))
        with (
            ThreadPoolExecutor(threads, "encode") as encoders,
            ThreadPoolExecutor(1, "network") as network,
            ThreadPoolExecutor(threads, "decode") as decoders,
        ):
            try:
                for work in sorted(works, key=lambda work: work.from_pipe):
                    place = _Place(work)
                    if work.from_pipe:
                        self._fetch(place)
                    if work.status == "pending":
                        decoders.submit(self._decode, place, network, encoders)
                while not self._settled.wait(_POLL):
                    pass
            except KeyboardInterrupt:
                interrupted = True
                self._halt()
        if self._broken is not None:
            raise self._broken
        return interrupted

    def _fetch(self, place: _Place) -> None:
        with self._guarded(place):
            place.work.fetch()

    def _decode(self, place: _Place, network: Executor, encoders: Executor) -> None:
        with self._guarded(place):
            self._check_stop()
            data = place.work.open()
            place.held = self._room.enter(place.work.cost)
            self._check_stop()
            place.work.decode(data)
            network.submit(self._enlarge, place, encoders)

    def _enlarge(self, place: _Place, encoders: Executor) -> None:
        def progress(_: int, total: int) -> None:
            self._check_stop()
            self._advance(place, 1 / total)

        with self._guarded(place):
            self._check_stop()
            with self._fatal_at_first():
                place.work.enlarge(progress)
            encoders.submit(self._encode, place)

    def _encode(self, place: _Place) -> None:
        with self._guarded(place):  # even when interrupted: only the cheap part is missing
            place.work.finish()
            self._settle(place, place.work.goal)

    @contextmanager
    def _guarded(self, place: _Place) -> Iterator[None]:
        """Whatever goes wrong with a picture is a line in the report."""
        try:
            yield
        except Cancelled:
            self._settle(place, "pending")
        except SRNetError as error:
            self._settle(place, "failed", str(error))
        except MemoryError:
            self._settle(place, "failed", "not enough memory: choose a smaller scale or --jobs 1")
        except Exception as error:
            _log.debug("%s", place.work.job, exc_info=True)
            self._settle(place, "failed", f"unexpected {type(error).__name__}: {error}")

    @contextmanager
    def _fatal_at_first(self) -> Iterator[None]:
        """What the very first picture fails of here would fail them all: no such device."""
        try:
            yield
        except (OptionError, SetupError, WeightsError, DeviceError) as error:
            if self._proved:
                raise
            self._break(error)
            raise Cancelled(str(error)) from error
        self._proved = True

    def _settle(self, place: _Place, status: Status, error: str | None = None) -> None:
        place.work.status, place.work.error = status, error
        place.work.drop()
        if status != "pending":
            self._advance(place, 1 - place.told)
            self._tell(lambda listener: listener.finished(place.work.row()))
        self._room.leave(place.held)
        with self._lock:
            self._left -= 1
            if not self._left:
                self._settled.set()

    def _advance(self, place: _Place, part: float) -> None:
        place.told += part
        megapixels = 0.0 if place.work.status == "failed" else part * place.work.megapixels
        self._tell(lambda listener: listener.advanced(part, megapixels))

    def _tell(self, message: Callable[[Listener], None]) -> None:
        if self._listener is None:
            return
        try:
            with self._lock:
                message(self._listener)
        except Exception as error:  # it cannot be shown any more; `run` raises it
            self._break(error)

    def _break(self, error: Exception) -> None:
        self._broken = self._broken or error
        self._halt()

    def _halt(self) -> None:
        self._stop.set()
        self._room.close()

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Cancelled("stopped")


class _Room:
    """Bytes that may be in flight; a picture larger than all of it goes alone."""

    def __init__(self, limit: int) -> None:
        self._limit, self._used, self._closed = limit, 0, False
        self._door = threading.Lock()  # one waits inside, so that large ones get their turn
        self._changed = threading.Condition()

    def enter(self, cost: int) -> int:
        """Wait for room, or for the end; what is to be given back to :meth:`leave`."""
        cost = max(cost, self._limit // _MOST_PICTURES)
        with self._door, self._changed:
            self._changed.wait_for(
                lambda: self._closed or not self._used or self._used + cost <= self._limit
            )
            self._used += cost
        return cost

    def leave(self, cost: int) -> None:
        """Make room."""
        with self._changed:
            self._used -= cost
            self._changed.notify_all()

    def close(self) -> None:
        """Let everybody in, as nobody will stay."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
