"""What file a result becomes: its format, by what was asked and what came in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from srnet.image import FORMATS, Header, Image, encode
from srnet.options import Options


def output_format(source: str, frames: int, options: Options) -> str:
    """The format asked for, or the input's where it can be written, or one that loses nothing.

    ``source`` is the format of the input as :class:`Image` and ``Header`` name it.
    """
    if options.format is not None:
        return options.format
    source = source.lower()
    if frames > 1:
        return source if source in ("png", "webp") else "webp"
    return source if source in FORMATS else "png"


def rounds_to_8_bit(header: Header, kind: str) -> bool:
    """Whether a result of format ``kind`` holds 8 bits where its input has more."""
    return header.cut or (header.depth == 16 and not FORMATS[kind].sixteen_bit)


def write(
    frames: Sequence[Image], options: Options, check: Callable[[], None] = lambda: None
) -> bytes:
    """Encode frames as the options ask, WebP without loss where it came so.

    What ``check`` raises ends it, where the format allows: see :func:`srnet.encode.encode`.

    Raises:
        OutputError: the format cannot hold them.
    """
    kind, lossless = output_format(frames[0].format, len(frames), options), options.lossless
    if lossless is None:
        lossless = kind == "webp" and frames[0].lossless and options.quality is None
    return encode(
        frames,
        kind,
        quality=options.quality,
        lossless=lossless,
        subsampling=options.subsampling,
        png_level=options.png_level,
        keep_metadata=options.keep_metadata,
        background=options.background,
        check=check,
    )
