"""Damaged and hostile files: one clear error of ours, quickly, whatever is in them."""

from __future__ import annotations

import struct
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import PIL.Image
import pytest

from srnet.errors import DecodeError, TooLargeError
from srnet.image import (
    decode,
    read_header,
    read_size,
)
from tests.hostile import CORPUS, chunk, exif, pillow, refusal

MUTATIONS = 300
PIXELS = 200_000  # a limit that mutated headers will often pass


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """One of: flipped bytes, a cut, a doubled, dropped or zeroed piece, a huge number."""
    out = bytearray(data)
    # Headers decide what a decoder does, so most of the damage goes there.
    near = min(len(out), 200) if rng.random() < 0.6 else len(out)
    at = int(rng.integers(4, near))
    end = at + int(rng.integers(1, 40))
    kind = rng.integers(6)
    if kind == 0:
        for place in rng.integers(4, near, rng.integers(1, 6)):
            out[place] = rng.integers(256)
    elif kind == 1:
        del out[int(rng.integers(4, len(out))) :]
    elif kind == 2:
        out[at:at] = out[at:end]
    elif kind == 3:
        del out[at:end]
    elif kind == 4:
        out[at:end] = bytes(len(out[at:end]))
    else:
        out[at : at + 4] = b"\xff\xff\xff\xff" if rng.random() < 0.5 else b"\x7f\xff\xff\xff"
    return bytes(out)


def repaired(data: bytes) -> bytes:
    """A PNG with right checksums again, so that the damage gets past them."""
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if at + 12 + length > len(data):
            break
        out += chunk(data[at + 4 : at + 8], data[at + 8 : at + 8 + length])
        at += 12 + length
    return bytes(out) + data[at:]


@pytest.mark.parametrize("kind", CORPUS)
def test_mutations_never_raise_anything_but_ours(kind):
    rng = np.random.default_rng(sum(kind.encode()))
    assert decode(CORPUS[kind], kind)
    refused = 0
    for _ in range(MUTATIONS):
        data = mutated(CORPUS[kind], rng)
        if data.startswith(b"\x89PNG") and rng.random() < 0.7:
            data = repaired(data)
        start = time.monotonic()
        error = refusal(data, PIXELS)
        assert time.monotonic() - start < 3
        if error is not None:
            refused += 1
            assert "evil.file" in str(error)
            assert "\n" not in str(error)
    assert refused > MUTATIONS // 10


@pytest.mark.parametrize("kind", CORPUS)
def test_the_size_of_a_mutated_file_is_ours_or_none(kind, tmp_path):
    rng = np.random.default_rng(sum(kind.encode()))
    for number in range(MUTATIONS // 10):
        file = tmp_path / str(number)
        file.write_bytes(mutated(CORPUS[kind], rng))
        with suppress(DecodeError):
            assert len(read_size(file)) == 2


@pytest.mark.parametrize("kind", CORPUS)
def test_half_a_file_is_refused(kind):
    data = CORPUS[kind]
    with pytest.raises(DecodeError, match=r"half\.bin"):
        decode(data[: len(data) // 2], "half.bin")


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"\xff\xd8\xff"),
        *(
            b"RIFF\0\0\0\0WEBP",
            b"%!PS-Adobe-3.0 EPSF-3.0",
            b"%PDF-1.7",
            b"<svg/>",
            b"P6 1 1 255 abc",
        ),
        *(bytes(10_000), b"\0\0\0\x1cftypheic" + bytes(64), b"\0\0\0\x1cftypavif" + bytes(64)),
    ],
)
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(DecodeError, match=r"notes\.txt"):
        decode(data, "notes.txt")
    with pytest.raises(DecodeError, match=r"notes\.txt"):
        read_header(data, "notes.txt")


def test_damaged_exif_and_profile_are_dropped():
    colour = PIL.Image.fromarray(np.zeros((4, 4, 3), np.uint8))
    for kind in ("PNG", "JPEG", "WEBP"):
        for block in (b"Exif\0\0junk", b"Exif\0\0II*\0\xff\xff\xff\xff", exif()[:-9][:20]):
            found = decode(pillow(colour, kind, exif=block, icc_profile=b"junk"))[0]
            assert found.exif is None
            assert found.icc is None


def test_limits_hold_for_the_caller_who_sets_them():
    data = CORPUS["apng"]
    assert len(decode(data, max_pixels=3 * 23 * 31)) == 3
    with pytest.raises(TooLargeError, match="3 frame"):
        decode(data, max_pixels=3 * 23 * 31 - 1)


def test_no_warning_reaches_the_caller():
    rng = np.random.default_rng(5)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(50):
            refusal(mutated(CORPUS["tiff"], rng))
            refusal(mutated(CORPUS["jpeg"], rng))
    assert caught == []


def test_many_threads_decode_what_one_does():
    kinds = list(CORPUS) * 6
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda kind: decode(CORPUS[kind]), kinds))
    for kind, frames in zip(kinds, results, strict=True):
        alone = decode(CORPUS[kind])
        assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(alone, frames, strict=True))
