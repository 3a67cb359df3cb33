"""Values of the command line as the library wants them; a wrong one names its option."""

from __future__ import annotations

import re
from math import inf
from pathlib import Path

from srnet.errors import OptionError


def format_name(text: str) -> str:
    """``--format``: a name or a suffix, as the name of the format."""
    from srnet.image import FORMATS, format_for

    try:
        return format_for(Path(f"picture.{text}"))
    except OptionError as error:
        raise OptionError(f"--format: choose one of {', '.join(FORMATS)}, not {text}") from error


def pixels(megapixels: float) -> int:
    """``--max-megapixels``, in pixels."""
    if not 1e-6 <= megapixels < inf:  # a pixel; also refuses NaN
        raise OptionError(f"--max-megapixels must be at least 0.000001, not {megapixels:g}")
    return int(megapixels * 1e6)


def box(text: str) -> tuple[int, int]:
    """``--fit``: width and height."""
    match = re.fullmatch(r"(\d+)x(\d+)", text, re.ASCII | re.IGNORECASE)
    if match is None:
        raise OptionError(f"--fit is WIDTHxHEIGHT in pixels, such as 1920x1080, not {text}")
    return int(match[1]), int(match[2])


def colour(text: str) -> tuple[int, int, int]:
    """``--background``: six hexadecimal digits, or a name of CSS; red, green, blue."""
    from srnet.image import read_colour

    try:
        return read_colour(text)
    except OptionError as error:
        raise OptionError(f"--background is {error}") from error
