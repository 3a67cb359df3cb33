"""Pillow on untrusted files: what it raises, kept quiet, and held to a number of reads."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import Any

from PIL import ImageCms

# What Pillow and OpenCV are known to raise on damaged files.
FOREIGN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    SystemError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    ImageCms.PyCMSError,
)


class _Bounded:
    """May be read only so often: ends Pillow's slow walks over endless junk."""

    reads_left = 100_000

    def read(self, size: int | None = -1, /) -> bytes:
        """As in the other base class; ``ValueError`` when it was called too often."""
        self.reads_left -= 1
        if self.reads_left < 0:
            raise ValueError("made of absurdly many parts")
        data: bytes = super().read(size)  # type: ignore[misc]
        return data


class BoundedBytes(_Bounded, io.BytesIO):
    """A file in memory, for which the larger it is the more reads are allowed."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads_left += len(data) // 64


class BoundedFile(_Bounded, io.FileIO):
    """For headers only, so that its size is no excuse."""


class _AsRead(str):
    """A text of EXIF or TIFF, which Pillow reads as Latin-1 whatever it is, and writes as ASCII."""

    def encode(self, encoding: str = "", errors: str = "") -> bytes:  # noqa: ARG002
        """The bytes it was read from, whatever is asked for."""
        return super().encode("latin-1", "replace")


def as_read(value: Any) -> Any:
    """The value of a tag, of which Pillow then writes the texts with the bytes that it read."""
    if isinstance(value, tuple):
        return tuple(map(as_read, value))
    return _AsRead(value) if isinstance(value, str) else value


def quiet_pillow() -> None:
    """Do not let Pillow warn of damaged metadata, which is dropped or refused anyway.

    ``warnings.catch_warnings`` is not safe between threads; adding a filter twice is.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
