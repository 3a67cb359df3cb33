"""Damaged and hostile files: one clear error of ours, quickly, whatever is in them."""

from __future__ import annotations

import io
import struct
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import PIL.Image
import pytest

from srnet.errors import DecodeError, SRNetError, TooLargeError
from srnet.image import (
    DEFAULT_MAX_PIXELS,
    MAX_FRAMES,
    Image,
    decode,
    encode,
    from_array,
    read_header,
    read_size,
)

MUTATIONS = 300
PIXELS = 200_000  # a limit that mutated headers will often pass


def noise(bands: int, dtype=np.uint8, seed: int = 0) -> Image:
    rng = np.random.default_rng(seed)
    full = np.iinfo(dtype).max
    return from_array(rng.integers(0, full, (23, 31, bands), dtype=dtype, endpoint=True))


def pillow(pil: PIL.Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    pil.save(out, kind, **options)
    return out.getvalue()


def exif() -> bytes:
    block = PIL.Image.Exif()
    block[0x0112], block[0x010F] = 6, "maker"
    block.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    return block.tobytes()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, kind: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def corpus() -> dict[str, bytes]:
    rng = np.random.default_rng(1)
    colour = PIL.Image.fromarray(rng.integers(0, 256, (23, 31, 3), dtype=np.uint8))
    frames = [colour.rotate(angle) for angle in (0, 90, 180)]
    moving = {"save_all": True, "append_images": frames[1:], "duration": 40, "loop": 2}
    clear = colour.convert("RGBA")
    clear.putalpha(100)
    return {
        "png": pillow(colour, "PNG", exif=exif()),
        "png-palette": pillow(colour.quantize(16), "PNG", transparency=3),
        "png-16": encode([noise(3, np.uint16)], "png"),
        "png-16-alpha": encode([noise(4, np.uint16)], "png"),
        "apng": pillow(colour, "PNG", **moving),
        "jpeg": pillow(colour, "JPEG", exif=exif(), dpi=(72, 72)),
        "jpeg-progressive": pillow(colour, "JPEG", progressive=True),
        "jpeg-cmyk": pillow(colour.convert("CMYK"), "JPEG"),
        "webp": pillow(clear, "WEBP", exif=exif()),
        "webp-animation": pillow(colour, "WEBP", **moving),
        "tiff": pillow(colour, "TIFF", exif=exif()),
        "tiff-lzw": pillow(clear, "TIFF", compression="tiff_lzw"),
        "tiff-16": encode([noise(3, np.uint16)], "tiff"),
        "bmp": pillow(colour.quantize(16), "BMP"),
        "gif": pillow(colour, "GIF"),
        "gif-animation": pillow(colour, "GIF", **moving),
        "avif": pillow(clear, "AVIF", exif=exif()),
        "jpeg2000": pillow(colour, "JPEG2000"),
    }


CORPUS = corpus()


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


def refusal(data: bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> SRNetError | None:
    """What decoding raises of ours; everything else goes through."""
    try:
        frames = decode(data, "evil.file", max_pixels)
    except SRNetError as error:
        return error
    assert sum(frame.height * frame.width for frame in frames) <= max_pixels
    return None


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


def gif(width: int, height: int, frames: list[tuple[int, int]]) -> bytes:
    """A GIF whose frames are ``frames`` in size, with almost no data in them."""
    image = b"".join(b",\0\0\0\0" + struct.pack("<HHB", *size, 0) + b"\2\1\0\0" for size in frames)
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + image + b";"


def tiff(width: int, height: int) -> bytes:
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: 1}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)


HUGE = {
    "png": png(60_000, 60_000, chunk(b"IDAT", zlib.compress(b""))),
    "png-16": png(60_000, 60_000, chunk(b"IDAT", zlib.compress(b"")), depth=16),
    "gif": gif(60_000, 60_000, [(1, 1)]),
    "gif-frame-outside-the-screen": gif(1, 1, [(60_000, 60_000)]),
    "gif-later-frame": gif(10, 10, [(10, 10), (60_000, 60_000)]),
    "gif-frames-together": gif(1000, 1000, [(1, 1)] * 300),
    "gif-many-frames": gif(1, 1, [(1, 1)] * (MAX_FRAMES + 1)),
    "tiff": tiff(60_000, 60_000),
    "bmp": b"BM" + struct.pack("<IIIIiiHH", 0, 0, 54, 40, 60_000, 60_000, 1, 24) + bytes(24),
    "webp": b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff\xff\0" * 2 + bytes(4),
    "jpeg": CORPUS["jpeg"].replace(b"\x00\x17\x00\x1f", b"\xea\x60\xea\x60"),
}


@pytest.mark.parametrize("kind", HUGE)
def test_huge_sizes_are_refused_by_the_header_at_once(kind):
    start = time.monotonic()
    # an empty WebP of that size is refused for being empty
    with pytest.raises(DecodeError if kind == "webp" else TooLargeError, match=r"huge\.bin"):
        decode(HUGE[kind], "huge.bin")
    assert time.monotonic() - start < 0.5


BOMB = zlib.compress(bytes(50_000_000), 9)
JUNK = {
    "profile bomb": png(1, 1, chunk(b"iCCP", b"x\0\0" + BOMB), chunk(b"IDAT", b"")),
    "text bomb": png(1, 1, *[chunk(b"zTXt", b"x\0\0" + BOMB)] * 9, chunk(b"IDAT", b"")),
    "empty PNG chunks": png(1, 1, *[chunk(b"teST", b"")] * 300_000),
    "JPEG of nothing": b"\xff\xd8\xff" + bytes(5_000_000),
    "JPEG of markers": b"\xff\xd8" + b"\xff\xe1\0\2" * 1_000_000,
    "GIF of nothing": b"GIF89a\1\0\1\0\0\0\0" + bytes(5_000_000),
    "GIF of comments": b"GIF89a\1\0\1\0\0\0\0" + b"!\xfe\1x\0" * 1_000_000,
    "JPEG of scans": CORPUS["jpeg"][:-2] + b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0" * 500,
}


@pytest.mark.parametrize("kind", JUNK)
def test_bombs_and_endless_junk_end_soon(kind, tmp_path):
    start = time.monotonic()
    assert isinstance(refusal(JUNK[kind]), DecodeError)
    (tmp_path / "junk").write_bytes(JUNK[kind])
    with suppress(DecodeError):
        read_size(tmp_path / "junk")
    assert time.monotonic() - start < 3


def test_idat_that_inflates_past_its_header_stays_within_it():
    data = png(2, 2, chunk(b"IDAT", BOMB))
    assert decode(data)[0].rgb.shape == (2, 2, 3)


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
