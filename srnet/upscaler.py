"""The product: pictures in, larger pictures out. Every door (Python, shell, HTTP) uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import numpy.typing as npt

from srnet import cicp
from srnet.engine import Engine
from srnet.enlarge import count_batches, enlarge, explain, opaque_colour, visible
from srnet.errors import OptionError, TooLargeError
from srnet.files import check_free, write_atomic
from srnet.image import (
    FORMATS,
    Header,
    Image,
    check_fit,
    check_options,
    decode,
    read_file,
    read_header,
)
from srnet.kinds import from_kind, to_kind
from srnet.metrics import consistency
from srnet.options import Options
from srnet.output import output_format, write
from srnet.sizes import passes, target_size

Array = npt.NDArray[Any]
Picture = TypeVar("Picture")
Progress = Callable[[int, int], None]
Tell = Callable[[], None]


@contextmanager
def _enough_memory() -> Iterator[None]:
    """For the doors of Python: the others have a word of their own."""
    try:
        yield
    except MemoryError as error:
        raise TooLargeError(
            "not enough memory for the picture and its result: take a smaller picture or scale, "
            "or free some memory"
        ) from error


class Upscaler:
    """Enlarges pictures with the engines of one model, which differ in scale only.

    Safe to use from several threads at once.
    """

    def __init__(self, engines: Sequence[Engine], options: Options | None = None) -> None:
        if not engines:
            raise OptionError("an upscaler needs at least one engine")
        self.engines = {e.card.scale: e for e in sorted(engines, key=lambda e: e.card.scale)}
        self.options = Options() if options is None else options

    def __repr__(self) -> str:
        names = ", ".join(engine.card.name for engine in self.engines.values())
        return f"<srnet.Upscaler of {names}>"

    def __copy__(self) -> Upscaler:
        return Upscaler(list(self.engines.values()), self.options)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "an Upscaler stays in its process, as its engines do: call srnet.load in each"
        )

    @_enough_memory()
    def __call__(
        self, image: Picture, options: Options | None = None, progress: Progress | None = None
    ) -> Picture:
        """Enlarge a picture; the same kind comes back.

        ``image`` is one of: the bytes (or ``bytearray``) of a picture file; a path (the result is
        written beside it as ``<stem>_x<scale><suffix>``, such as ``a_x2.jpg``, and that path
        comes back; an existing file is never replaced); a PIL image (of an animation the frame that
        it is at: give the file itself for all of them); a numpy array, uint8 or uint16, ``(H, W)``
        or ``(H, W, 1)`` grey, ``(H, W, 2)`` grey and alpha, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGB
        and alpha, sRGB-encoded; an :class:`srnet.image.Image`.

        Raises:
            SRNetError: bad option, bad picture, or no memory; see ``srnet/errors.py``.
        """
        options = self._chosen(options)
        result: Any
        if isinstance(image, bytes | bytearray):
            result = type(image)(self.upscale_bytes(bytes(image), options, progress=progress))
        elif isinstance(image, str | Path):
            result = type(image)(self._beside(Path(image), options, progress))
        else:
            picture = from_kind(image)
            self.check(Header("", picture.width, picture.height), options)
            result = to_kind(self.run([picture], options, progress)[0], image)
        return cast(Picture, result)

    def _chosen(self, options: Options | None) -> Options:
        if options is not None and not isinstance(options, Options):
            raise OptionError(f"options must be srnet.Options(...), not {options!r}")
        return self.options if options is None else options

    def _beside(self, path: Path, options: Options, progress: Progress | None) -> Path:
        frames = self._opened(read_file(path), str(path), options)
        suffix = FORMATS[output_format(frames[0].format, len(frames), options)].suffix
        factor = self.size(frames[0].height, frames[0].width, options)[1] / frames[0].width
        target = path.with_name(f"{path.stem}_x{factor:.3g}{suffix}")
        cure = "move it away, or use srnet.upscale(input, output)"
        check_free(target, cure)
        data = write(self.run(frames, options, progress), options)
        check_free(target, f"{cure}; it has appeared meanwhile")
        write_atomic(target, data)
        return target

    def size(self, height: int, width: int, options: Options) -> tuple[int, int]:
        """Height and width that a picture of ``height x width`` would get, in pixels."""
        sides = (options.width, options.height, options.fit)
        scale = options.scale
        if scale is None and sides == (None, None, None):
            scale = min(self.engines)
        return target_size(height, width, scale, *sides)

    def plan(self, height: int, width: int, options: Options) -> list[Engine]:
        """The engines that a picture goes through, one after the other; none at strength 0."""
        if not options.strength:
            return []
        to_height, to_width = self.size(height, width, options)
        factor = max(to_height / height, to_width / width)
        if options.scale is not None:
            factor = options.scale  # not the ratio of rounded sizes
        return [self.engines[s] for s in passes(factor, self.engines)]

    def load(self, height: int, width: int, options: Options) -> None:
        """Load the networks that run for a picture of this size, where it is still to do."""
        for engine in self.plan(height, width, options):
            next(engine.run(()), None)

    def check(self, header: Header, options: Options) -> None:
        """Refuse, from the header alone, what would pass the limit.

        Raises:
            TooLargeError: more output or intermediate pixels than ``max_pixels``.
        """
        end = self.size(header.height, header.width, options)
        reached = prod(e.card.scale for e in self.plan(header.height, header.width, options))
        most = max(end, (header.height * reached, header.width * reached), key=prod)
        pixels = prod(most) * header.frames
        if pixels > options.max_pixels:
            what = "the result" if most == end else f"what is then shrunk to {end[1]} x {end[0]}"
            frames = f", {header.frames} frames" if header.frames > 1 else ""
            raise TooLargeError(
                f"{what} would have {pixels / 1e6:,.6g} megapixels "
                f"({most[1]} x {most[0]}{frames}); the limit is "
                f"{options.max_pixels / 1e6:,.6g}: choose a smaller scale or raise the limit "
                "(--max-megapixels; max_pixels in Python)"
            )

    def check_output(self, header: Header, options: Options) -> None:
        """Refuse also what the format of the result could not hold.

        Raises:
            TooLargeError: see :meth:`check`.
            OptionError: that format cannot be lossless.
            OutputError: too many pixels a side, frames, transparency, high dynamic range; it
                says what to do.
        """
        self.check(header, options)
        height, width = self.size(header.height, header.width, options)
        kind = output_format(header.format, header.frames, options)
        check_options(kind, options.quality, bool(options.lossless), options.background)
        visible = header.alpha and options.background is None
        check_fit(kind, height, width, frames=header.frames, alpha=visible)
        cicp.check(kind, header.cicp)

    def decode(self, data: bytes, name: str, options: Options) -> list[Image]:
        """Decode every frame of a file, of which :meth:`check` has seen the header.

        Raises:
            PictureError: not a picture, damaged, or too large.
        """
        return decode(data, name, options.max_pixels)

    def run(
        self, frames: Sequence[Image], options: Options, progress: Progress | None = None
    ) -> list[Image]:
        """Enlarge the frames of a picture.

        ``progress`` is told after each batch, or frame without a network, how many are done and how
        many there are; an exception raised in it stops the work.
        """
        tell = _counter(sum(self._count(f, options) for f in frames), progress)
        return [self._enlarge(frame, options, tell) for frame in frames]

    def run_with_residual(
        self, frames: Sequence[Image], options: Options, progress: Progress | None = None
    ) -> tuple[list[Image], Image]:
        """As :meth:`run`, and the picture of the first frame's residual, from the same passes."""
        tell = _counter(sum(self._count(f, options) for f in frames), progress)
        first, added = self._explained(frames[0], options, tell)
        rest = [self._enlarge(frame, options, tell) for frame in frames[1:]]
        return [first, *rest], Image(visible(added, first.alpha))

    @_enough_memory()
    def residual(
        self, image: Any, options: Options | None = None, progress: Progress | None = None
    ) -> tuple[Array, Image]:
        """What the network adds to bicubic; ``image`` as for a call, its first frame only.

        Returns the difference as float32 ``(H, W, C)`` in units of full scale (-1 to 1), and
        a picture of it: grey where nothing that can be seen was added, four times enhanced.
        """
        options = self._chosen(options)
        name = str(image) if isinstance(image, str | Path) else "picture"
        data = read_file(Path(image)) if isinstance(image, str | Path) else image
        if isinstance(data, bytes | bytearray):
            data = bytes(data)
            self.check(read_header(data, name), options)
            picture = self.decode(data, name, options)[0]
        else:
            picture = from_kind(data)
            self.check(Header("", picture.width, picture.height), options)
        tell = _counter(self._count(picture, options), progress)
        result, added = self._explained(picture, options, tell)
        return added, Image(visible(added, result.alpha))

    @_enough_memory()
    def upscale_bytes(
        self,
        data: bytes,
        options: Options | None = None,
        name: str = "picture",
        progress: Progress | None = None,
    ) -> bytes:
        """A picture file in, a picture file out.

        Raises:
            SRNetError: bad option, bad picture, or no memory; see ``srnet/errors.py``.
        """
        options = self._chosen(options)
        frames = self._opened(data, name, options)
        return write(self.run(frames, options, progress), options)

    def _opened(self, data: bytes, name: str, options: Options) -> list[Image]:
        self.check_output(read_header(data, name), options)
        return self.decode(data, name, options)

    def _count(self, image: Image, options: Options) -> int:
        engines = self.plan(image.height, image.width, options)
        return count_batches(image.height, image.width, engines, options)

    def _enlarge(self, image: Image, options: Options, tell: Tell) -> Image:
        return enlarge(image, *self._way(image, options), options, tell)

    def _explained(self, image: Image, options: Options, tell: Tell) -> tuple[Image, Array]:
        return explain(image, *self._way(image, options), options, tell)

    def _way(self, image: Image, options: Options) -> tuple[tuple[int, int], list[Engine]]:
        """The size that a picture gets, and the engines that it goes through."""
        height, width = image.height, image.width
        return self.size(height, width, options), self.plan(height, width, options)


def consistency_db(source: Image, result: Image) -> float | None:
    """How well ``result`` shrinks back to ``source``; see :func:`srnet.metrics.consistency`.

    None where the result is smaller. Colour under alpha 0 does not count.
    """
    if result.height < source.height or result.width < source.width:
        return None
    return consistency(opaque_colour(source), result.rgb)


def _counter(total: int, progress: Progress | None) -> Tell:
    done = 0

    def tell() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    return tell
