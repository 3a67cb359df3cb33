"""Keeping resident memory level: what libraries would hoard is bounded or given back.

Measured with the request mix of ``tests/bench/load.py``: without this, resident memory doubles
within 500 requests, since oneDNN and its wrapper in PyTorch keep code and buffers for each of
1024 shapes of convolution, and glibc keeps what was freed.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

_SHAPES = "16"  # of convolution: those of two pictures
_ARENA_MAX = -8  # M_ARENA_MAX of glibc's mallopt; with one, what is freed lies together


def bound() -> None:
    """Set the limits of a process that is about to serve, unless its environment did."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _SHAPES)
    os.environ.setdefault("LRU_CACHE_CAPACITY", _SHAPES)  # of PyTorch's wrapper of oneDNN
    if "MALLOC_ARENA_MAX" not in os.environ:
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def trim() -> None:
    """Give freed memory back to the system; takes milliseconds."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
