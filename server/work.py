"""What a worker thread does with one picture. Blocking; stops within one batch when asked.

Encoding stops between strips (PNG, TIFF) or pieces of the file (JPEG); WebP and AVIF are encoded in
one call of their libraries, which nothing can stop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from server.blobs import Blob, keep
from server.negotiate import acceptable
from srnet.errors import Cancelled, OptionError, OutputError, TooLargeError
from srnet.image import FORMATS, Header, read_header
from srnet.options import Options
from srnet.output import output_format, rounds_to_8_bit, write
from srnet.upscaler import Upscaler, consistency_db

NAME = "the file"  # in messages of the library


class Stop:
    """Asked from one thread, obeyed by another. Also holds how far the work is, 0 to 1."""

    def __init__(self) -> None:
        self.asked = False
        self.progress = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Be told of a batch.

        Raises:
            Cancelled: it was the last one.
        """
        self.progress = done / total
        self.check()

    def check(self) -> None:
        """Raises ``Cancelled`` if asked."""
        if self.asked:
            raise Cancelled("stopped")


@dataclass(frozen=True)
class Task:
    """One picture to work on; ``data`` reads it."""

    upscaler: Upscaler
    options: Options
    data: Callable[[], bytes]
    accept: str  # what formats the caller takes, an Accept header
    folder: Path  # for a result that is too long for memory


@dataclass(frozen=True)
class Result:
    """A finished picture; sizes are in pixels, times in seconds."""

    blob: Blob
    format: str
    origin: tuple[int, int]  # width, height
    size: tuple[int, int]
    seconds: dict[str, float]  # of each stage
    frames: int = 1
    consistency_db: float | None = None
    rounded_to_8_bit: bool = False  # as the input has more, and the result has 8
    pages_left_out: int = 0  # of a TIFF: all but the first

    @property
    def lacks(self) -> dict[str, Any]:
        """What the result does not have of the picture."""
        return {
            "rounded_to_8_bit": self.rounded_to_8_bit,
            "pages_left_out": self.pages_left_out,
        }

    @property
    def media_type(self) -> str:
        """For the Content-Type."""
        return FORMATS[self.format].media_type

    @property
    def suffix(self) -> str:
        """For the file name, with its dot."""
        return FORMATS[self.format].suffix

    @property
    def scale(self) -> float:
        """The factor that was reached."""
        return self.size[0] / self.origin[0]


def inspect(task: Task) -> Header:
    """Read the header and refuse what cannot be done, before anything waits for it.

    Raises:
        SRNetError: not a picture, too large, an option that cannot work.
    """
    header = read_header(task.data(), NAME)
    task.upscaler.check(header, task.options)
    return header


def decided(task: Task, header: Header) -> Options:
    """The options with the format that the result will have.

    Raises:
        TooLargeError: above the limit of pixels.
        OptionError: no format that the caller takes can be written so (without loss).
        OutputError: no format that the caller takes can hold it.
    """
    natural = output_format(header.format, header.frames, task.options)
    asked = task.options.format
    choices = [asked] if asked else acceptable(task.accept, natural)
    refused: OptionError | OutputError | TooLargeError | None = None
    for chosen in choices:
        try:
            options = replace(task.options, format=chosen)
            task.upscaler.check_output(header, options)
            _check_memory(task, header, options, chosen)
        except (OptionError, OutputError, TooLargeError) as error:
            refused = refused or error  # of what was wanted most
        else:
            return options
    assert refused is not None
    raise refused


def _check_memory(task: Task, header: Header, options: Options, kind: str) -> None:
    """Refuse what its encoder would take more memory for than a PNG at the limit of pixels."""
    weight = FORMATS[kind].weight
    height, width = task.upscaler.size(header.height, header.width, options)
    pixels = height * width * header.frames
    if weight > 1 and pixels * weight > options.max_pixels:
        raise TooLargeError(
            f"{kind} takes {weight} times the memory of png to write: of the {pixels / 1e6:,.4g} "
            f"megapixels of the result it may have {options.max_pixels / weight / 1e6:,.3g}; "
            "choose another format or a smaller scale"
        )


def enlarge(task: Task, stop: Stop) -> Result:
    """Enlarge every frame.

    Raises:
        SRNetError: bad option, bad picture, no memory, or asked to stop.
    """
    clock = _Clock(stop)
    with clock.stage("decode"):
        data = task.data()
        header = read_header(data, NAME)
        options = decided(task, header)
        frames = task.upscaler.decode(data, NAME, options)
        del data
    with clock.stage("network"):
        results = task.upscaler.run(frames, options, stop)
    with clock.stage("check"):
        decibels = consistency_db(frames[0], results[0])
    with clock.stage("encode"):
        origin = frames[0].width, frames[0].height
        del frames
        data = write(results, options, stop.check)
    return Result(
        keep(data, task.folder),
        str(options.format),
        origin,
        (results[0].width, results[0].height),
        clock.seconds,
        len(results),
        decibels,
        rounds_to_8_bit(header, str(options.format)),
        header.pages_left_out,
    )


def show_residual(task: Task, stop: Stop) -> Result:
    """The picture of what the network adds to the first frame.

    Raises:
        SRNetError: as :func:`enlarge`.
    """
    clock, options = _Clock(stop), task.options
    with clock.stage("decode"):
        data = task.data()
        header = read_header(data, NAME)
        task.upscaler.check(header, options)  # every frame is decoded
        options = decided(task, replace(header, format="png", frames=1, alpha=False, cicp=None))
        frame = task.upscaler.decode(data, NAME, options)[0]
        del data
    with clock.stage("network"):
        _, picture = task.upscaler.residual(frame, options, stop)
    with clock.stage("encode"):
        data = write([picture], options, stop.check)
    return Result(
        keep(data, task.folder),
        str(options.format),
        (frame.width, frame.height),
        (picture.width, picture.height),
        clock.seconds,
    )


class _Clock:
    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self._stop.check()
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
