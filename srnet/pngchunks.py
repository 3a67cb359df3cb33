"""The chunks of a PNG, where Pillow and OpenCV do not see or trust too much."""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterator
from itertools import takewhile

from srnet.notes import MOST as MOST_TEXT
from srnet.notes import MOST_TEXTS, RAW, raw_profile
from srnet.xmp import MOST, PNG_KEYWORD, usable

_MOST_CHUNKS = 300_000  # in a gigabyte, made as usual, are 130,000
_MOST_BESIDE = 50_000  # that hold no pixels; Pillow takes a second for so many
SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER_END = 33
_PIXELS = (b"IDAT", b"fdAT", b"fcTL")
_MOST_DAMAGED = 8  # packed texts that break off
_MOST_PACKED = 50  # that Pillow is given
_XMP = PNG_KEYWORD + b"\0"
_EXIF_HEAD, _XMP_HEAD = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"  # as a JPEG has them


def bare_png(data: bytes) -> bytes:
    """The same PNG with nothing but its pixels, for a decoder that trusts what it is given.

    OpenCV takes seconds to allocate what a chunk's length promises, prints what it dislikes,
    and would read all that follows. ``ValueError`` when a chunk is damaged.
    """
    kept = []
    for kind, start, end in chunks(data):
        if kind in (b"IHDR", b"tRNS", b"IDAT", b"IEND"):
            (crc,) = struct.unpack_from(">I", data, end - 4)
            if zlib.crc32(memoryview(data)[start + 4 : end - 4]) != crc:
                raise ValueError(f"its {kind.decode()} chunk is damaged")
            kept.append(memoryview(data)[start:end])
        if kind == b"IEND":
            return data[:8] + b"".join(kept)
    raise ValueError("it ends too early")


def exif(data: bytes | mmap.mmap) -> bytes | None:
    """PNG allows EXIF after the pixels, where Pillow sees it only after decoding.

    Programs from before PNG had a place for it wrote it into a text.
    """
    found = (data[start + 8 : end - 4] for k, start, end in chunks(data) if k == b"eXIf")
    raw = (body for body in _raw(data, "exif", "APP1") if body.startswith(_EXIF_HEAD))
    return next(found, None) or next(raw, None)


def _raw(data: bytes | mmap.mmap, *names: str) -> Iterator[bytes]:
    """The contents of raw profiles: other programs' data, as hexadecimal in a text."""
    keywords = [RAW + name for name in names]
    return (raw_profile(text) for keyword, text in texts(data) if keyword in keywords)


def xmp(data: bytes) -> bytes | None:
    """The XMP packet, which may come after the pixels too, packed or not."""
    for kind, start, end in chunks(data):
        body = data[start + 8 : end - 4] if kind == b"iTXt" else b""
        if not body.startswith(_XMP):
            continue
        packed, rest = body[len(_XMP) : len(_XMP) + 1], body[len(_XMP) + 2 :]
        text = rest.split(b"\0", 2)[2:]  # after the language and the translated keyword
        try:
            if text and packed != b"\0":
                return usable(zlib.decompressobj().decompress(text[0], MOST + 1))
        except zlib.error:  # damaged metadata is no reason to refuse the picture
            return None
        return usable(text[0]) if text else None
    raw = (body for body in _raw(data, "xmp", "APP1") if not body.startswith(_EXIF_HEAD))
    return usable(next(raw, b"").removeprefix(_XMP_HEAD))


def texts(data: bytes | mmap.mmap) -> Iterator[tuple[str, str]]:
    """Keyword and text of what tells of the picture in words, before the pixels or after."""
    left = MOST_TEXT  # bytes to be unpacked; what lies there as it is costs no more than its file
    pause = MOST_TEXT // MOST_TEXTS  # what each costs, however short or damaged it is
    for kind, start, end in chunks(data):
        if kind not in (b"tEXt", b"zTXt", b"iTXt") or left <= 0:
            continue
        left -= pause
        keyword, _, body = data[start + 8 : end - 4].partition(b"\0")
        if keyword == PNG_KEYWORD:
            continue
        encoding, packed = "latin-1", kind == b"zTXt"
        if packed:
            body = body[1:]  # which says how it is packed: there is one way
        if kind == b"iTXt":
            encoding, packed = "utf-8", body[:1] == b"\1"
            body = b"".join(body[2:].split(b"\0", 2)[2:])
        try:
            if packed:
                body = zlib.decompressobj().decompress(body, max(1, left + 1))
                if len(body) > left:
                    raise zlib.error("too long")
                left -= len(body)
            yield keyword.decode("latin-1"), body.decode(encoding)
        except zlib.error:  # which may come late, after as much as it was allowed
            left -= MOST_TEXT // _MOST_DAMAGED
        except UnicodeDecodeError:
            continue  # damaged metadata is no reason to refuse the picture


def lean(data: bytes) -> bytes:
    """The same file, a PNG without packed texts if it has more than anybody writes.

    Pillow unpacks each of them, and megabytes for nothing where they break off late.
    ``ValueError`` where there are absurdly many chunks beside those of the pixels.
    """
    found = chunks(data) if data.startswith(SIGNATURE) else ()
    packed = []
    for count, (kind, a, b) in enumerate(each for each in found if each[0] not in _PIXELS):
        if count == _MOST_BESIDE:
            raise ValueError("made of absurdly many parts")
        if kind in (b"zTXt", b"iTXt"):
            packed.append((a, b))
    if len(packed) <= _MOST_PACKED:
        return data
    starts, ends = zip(*packed, strict=True)
    return b"".join(data[a:b] for a, b in zip((0, *ends), (*starts, len(data)), strict=True))


def before_pixels(data: bytes) -> dict[bytes, bytes]:
    """The contents of what precedes the pixels of a PNG, by kind."""
    found = takewhile(lambda each: each[0] != b"IDAT", chunks(data))
    return {kind: data[start + 8 : end - 4] for kind, start, end in found}


def with_chunk(data: bytes, kind: bytes, body: bytes) -> bytes:
    """The same PNG with one more chunk, right after its header."""
    return b"".join([data[:_HEADER_END], chunk(kind, body), data[_HEADER_END:]])


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk as it lies in a file."""
    crc = zlib.crc32(body, zlib.crc32(kind))
    return b"".join([struct.pack(">I", len(body)), kind, body, struct.pack(">I", crc)])


def chunks(data: bytes | mmap.mmap) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of every chunk that is there in full."""
    start, left = 8, _MOST_CHUNKS
    while start + 12 <= len(data) and left:
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + 12 + length
        if end > len(data):
            return
        yield kind, start, end
        start, left = end, left - 1
