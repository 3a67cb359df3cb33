"""One picture of a batch on its way from file to file: its stages, one method each."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Literal

from srnet.enlarge import count_batches
from srnet.errors import OutputError, PictureError, SRNetError
from srnet.files import check_name, no_output
from srnet.identity import is_same
from srnet.image import (
    Header,
    Image,
    encode,
    read_header,
    read_size,
    write_atomic,
)
from srnet.naming import Job
from srnet.options import Options
from srnet.output import output_format, rounds_to_8_bit, write
from srnet.report import Row, Status
from srnet.upscaler import Progress, Upscaler, consistency_db

Existing = Literal["refuse", "skip", "replace"]  # what to do where the target is there already


@dataclass(eq=False)
class Work:
    """A job, and what is known and held of its picture so far."""

    job: Job
    upscaler: Upscaler
    options: Options
    existing: Existing = "refuse"
    status: Status = "pending"
    error: str | None = None
    target_made: bool = False  # by an earlier run; only the residual is missing

    header: Header | None = None
    size: tuple[int, int] | None = None  # height, width of the result
    models: tuple[str, ...] = ()
    cost: int = 0  # bytes of its pixels, input and output
    seconds: dict[str, float] = field(default_factory=dict)
    consistency: float | None = None

    data: bytes | None = None  # of a pipe
    inputs: Sequence[Image] = ()
    results: Sequence[Image] = ()
    residual: Image | None = None

    def __post_init__(self) -> None:
        """Decide on the format, and what is not to be started because of what is there."""
        try:
            self.options = replace(self.options, format=self.job.format or self.options.format)
            for path in filter(None, (self.job.target, self.job.residual)):
                check_name(path, "rename the picture, or choose shorter names with --name")
            if self.existing != "replace":
                self._heed_what_is_there()
        except SRNetError as error:
            self.status, self.error = "failed", str(error)

    def _heed_what_is_there(self) -> None:
        target, residual = self.job.target, self.job.residual
        if target is None or not _is_there(target):
            if self.existing == "refuse" and _is_there(residual):
                self._refuse(f"{residual} exists: {_CURE}")
        elif self.job.source is not None and is_same(self.job.source, target):
            self._refuse(f"{target} is the input itself: choose another -o, or use --overwrite")
        elif self.existing == "refuse":
            self._refuse(f"{target} exists: {_CURE}")
        elif self.from_pipe:
            self._refuse(
                f"{target} exists, and --skip-existing cannot tell the size that the picture of "
                "a pipe would get: use --overwrite, or choose another output"
            )
        elif _size_there(target) != (size := self._size_to_make()):
            self._refuse(
                f"{target} exists, but not with the {size[1]} x {size[0]} pixels that this run "
                "would make: use --overwrite, or choose another output"
            )
        elif residual is None or _is_there(residual):
            self.status = "skipped"
        else:
            self.target_made = True

    def _refuse(self, reason: str) -> None:
        self.status, self.error = "refused", reason

    def _size_to_make(self) -> tuple[int, int]:
        """Height and width of the result, from the header of the source alone."""
        if self.job.source is None:
            header = read_header(self.job.read(), text(None))
            height, width = header.height, header.width
        else:
            height, width = read_size(self.job.source)
        return self.upscaler.size(height, width, self.options)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the seconds of the block to those of a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0) + time.perf_counter() - start

    def open(self) -> bytes:
        """Read the file, and what its header says of the work.

        Raises:
            SRNetError: it cannot be read, or is too large, or the size cannot be reached, or
                its tiles would be too small.
        """
        source = self.job.source
        with self.timed("decode"):
            data = self.job.read() if self.data is None else self.data
            self.header = header = read_header(data, text(source))
            self.upscaler.check_output(header, self.options)
        engines = self.upscaler.plan(header.height, header.width, self.options)
        count_batches(header.height, header.width, engines, self.options)  # as far as that goes
        self.models = tuple(e.card.name for e in engines)
        self.size = self.upscaler.size(header.height, header.width, self.options)
        area = header.height * header.width
        largest = max(prod(self.size), area * prod(e.card.scale for e in engines) ** 2)
        samples = (1 if header.grey else 3) + header.alpha
        self.cost = (area + largest) * samples * header.frames * header.depth // 8
        self.cost += header.alpha * area * 8  # while colours are hidden under it
        return data

    @property
    def from_pipe(self) -> bool:
        """Whether the input can be read once only, and may be waited for."""
        try:
            return self.job.source is not None and self.job.source.is_fifo()
        except OSError:  # reading it will tell why
            return False

    def fetch(self) -> None:
        """Read a pipe, in a thread that Ctrl-C reaches."""
        self.data = self.job.read()

    def decode(self, data: bytes) -> None:
        """Decode what :meth:`open` has read."""
        with self.timed("decode"):
            self.inputs = self.upscaler.decode(data, text(self.job.source), self.options)

    def enlarge(self, progress: Progress) -> None:
        """Run the network; ``progress`` as for :meth:`srnet.upscaler.Upscaler.run`."""
        with self.timed("load"):  # seconds for the first picture of a process, then nothing
            self.upscaler.load(self.inputs[0].height, self.inputs[0].width, self.options)
        with self.timed("network"):
            if self.target_made:
                _, self.residual = self.upscaler.residual(self.inputs[0], self.options, progress)
            elif self.job.residual is None:
                self.results = self.upscaler.run(self.inputs, self.options, progress)
            else:
                self.results, self.residual = self.upscaler.run_with_residual(
                    self.inputs, self.options, progress
                )
            self.inputs = self.inputs[:1]  # which the first result is checked against

    def finish(self) -> None:
        """Encode, check against the input, write.

        Raises:
            OutputError: the format cannot hold the picture, or the file cannot be written.
        """
        with self.timed("encode"):
            if not self.target_made:
                self._finish_target()
            if self.job.residual is not None and self.residual is not None:
                _store(self.job.residual, encode([self.residual], "png"))

    def _finish_target(self) -> None:
        with ThreadPoolExecutor(1) as pool:  # encoders and sums both leave Python's lock
            check = pool.submit(consistency_db, self.inputs[0], self.results[0])
            data = write(self.results, self.options)
            self.consistency = check.result()
        self._check_free(self.job.target)
        if self.existing == "refuse":  # else one that lacks its result is made anew
            self._check_free(self.job.residual)
        _store(self.job.target, data)

    def _check_free(self, path: Path | None) -> None:
        if self.existing != "replace" and _is_there(path):
            raise OutputError(f"{path} has appeared meanwhile: {_CURE}")

    def drop(self) -> None:
        """Let go of the pixels."""
        self.data = None
        self.inputs = self.results = ()
        self.residual = None

    @property
    def goal(self) -> Status:
        """What it is when all goes well; a result that was there stays as it is."""
        return "skipped" if self.target_made else "done"

    @property
    def megapixels(self) -> float:
        """Of the result, all frames together; 0 before :meth:`open`, or where it was there."""
        if self.target_made or not self.size or not self.header:
            return 0.0
        return prod(self.size) * self.header.frames / 1e6

    def _rounds_to_8_bit(self) -> bool:
        if self.status not in ("planned", "done") or self.header is None:
            return False
        kind = output_format(self.header.format, self.header.frames, self.options)
        return rounds_to_8_bit(self.header, kind)

    def row(self) -> Row:
        """Its line in the report."""
        row = Row(
            input=text(self.job.source),
            output=text(self.job.target),
            status=self.status,
            input_size=(self.header.width, self.header.height) if self.header else None,
            output_size=self.size[::-1] if self.size else None,
            frames=self.header.frames if self.header else None,
            models=self.models,
            rounded_to_8_bit=self._rounds_to_8_bit(),
            pages_left_out=self.header.pages_left_out if self.header else 0,
            seconds={stage: round(seconds, 4) for stage, seconds in self.seconds.items()},
            error=self.error,
        )
        if self.status in ("planned", self.goal) and self.header and self.job.residual:
            row = replace(row, residual=str(self.job.residual))
        if self.status != "done":
            return row
        return replace(
            row,
            megapixels_per_second=round(self.megapixels / max(self.seconds["network"], 1e-6), 3),
            consistency_db=None if self.consistency is None else round(self.consistency, 2),
        )


_CURE = "use --overwrite or --skip-existing, or choose another output"


def text(path: Path | None) -> str:
    """A path for people; a dash for the standard streams."""
    return "-" if path is None else str(path)


def _is_there(path: Path | None) -> bool:
    return path is not None and os.path.lexists(path)


def _size_there(target: Path) -> tuple[int, int] | None:
    """Height and width of an earlier result; None if it is no picture."""
    try:
        return read_size(target)
    except PictureError:
        return None


def _store(path: Path | None, data: bytes) -> None:
    if path is None:
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except OSError as error:
            raise no_output(error) from error
    else:
        write_atomic(path, data, parents=True)
