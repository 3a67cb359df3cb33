"""Animated PNG and GIF, frame by frame, as their specifications have them.

PNG, third edition, section 13; GIF89a, of which this follows what browsers show: where a frame
is disposed of there is nothing, not the colour that the file calls its background. Pillow's own
composition leaves holes where half transparent pixels lie over opaque ones, forgets what "previous"
was, and paints that colour. So it decodes each frame as a file of its own here, and no more.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

from srnet.container import clear_factor
from srnet.pillow import BoundedBytes
from srnet.pixels import strips
from srnet.pngchunks import SIGNATURE, chunk, chunks
from srnet.structure import gif_table

_RGBA = npt.NDArray[np.uint8]
_KEEP, _CLEAR, _RESTORE = 0, 1, 2  # as PNG numbers them: what becomes of a frame after its time
_GIF_KINDS = {2: _CLEAR, 3: _RESTORE}
_BROWSERS = 100  # ms, where a PNG's delay has no unit


@dataclass
class Part:
    """A frame as it is stored: the file of its own that it makes, its place, and what is done."""

    file: bytes
    x: int
    y: int
    width: int
    height: int
    duration: int  # ms
    dispose: int = _KEEP
    over: bool = True  # or it replaces all that is under it, transparent pixels too


def frames(data: bytes, kind: str, width: int, height: int, count: int) -> Iterator[Any]:
    """The frames of a PNG or GIF as Pillow images of the whole picture, in colour or grey.

    Those that can be seen through have alpha; ``info`` holds the duration in ms.

    Raises any of ``srnet.pillow.FOREIGN``; ``ValueError`` where frames are missing.
    """
    parts = _png_parts(data) if kind == "PNG" else _gif_parts(data)
    canvas = np.zeros((height if count > 1 else 0, width, 4), np.uint8)
    for _ in range(count):
        part = next(parts, None)
        if part is None:
            raise ValueError("it ends before its last frame")
        alone = count == 1 and (part.width, part.height) == (width, height)
        if alone and (kind == "GIF" or part.file[24] <= 8):  # as it is: nothing to lay it over
            yield _opened(part.file)
            return
        canvas = canvas if len(canvas) else np.zeros((height, width, 4), np.uint8)
        yield _shown(part, canvas, part.file[25:26] in (b"\0", b"\4") and kind == "PNG")


def _shown(part: Part, canvas: _RGBA, grey: bool) -> Any:
    """Draw a part, and take from the canvas what goes before the next one."""
    place = canvas[part.y : part.y + part.height, part.x : part.x + part.width]
    if min(part.x, part.y) < 0 or place.shape[:2] != (part.height, part.width) or not place.size:
        raise ValueError("a frame reaches beyond the picture")
    before = place.copy() if part.dispose == _RESTORE else None
    for rows, drawn in _strips(part.file):
        place[rows] = _over(drawn, place[rows]) if part.over else drawn
    opaque = all(
        (canvas[top:bottom, :, 3] == 255).all() for top, bottom in strips(*canvas.shape[:2])
    )
    bands, mode = ((0,), "L") if grey else ((0, 1, 2), "RGB")
    bands, mode = (bands, mode) if opaque else ((*bands, 3), f"{mode}A")
    pixels = canvas[..., bands[0]] if mode == "L" else canvas[..., bands]
    pil = PIL.Image.fromarray(np.ascontiguousarray(pixels))
    assert pil.mode == mode
    pil.info["duration"] = part.duration
    if part.dispose == _CLEAR:
        place[...] = 0
    elif before is not None:
        place[...] = before
    return pil


def _over(above: _RGBA, below: _RGBA) -> _RGBA:
    """Colours are not premultiplied; where both can be seen through, so can the result."""
    if ((above[..., 3] == 0) | (above[..., 3] == 255)).all():
        seen: _RGBA = np.where(above[..., 3:] == 0, below, above)
        return seen
    upper = above[..., 3:].astype(np.uint32) * 255
    lower = (255 - above[..., 3:].astype(np.uint32)) * below[..., 3:]
    both = upper + lower
    share = np.maximum(both, 1)
    colour = (above[..., :3] * upper + below[..., :3] * lower + share // 2) // share
    mixed: _RGBA = np.concatenate([colour, (both + 127) // 255], axis=2).astype(np.uint8)
    return mixed


def _opened(file: bytes) -> Any:
    """The one frame of a file, loaded."""
    pil: Any = PIL.Image.open(BoundedBytes(file), formats=["PNG", "GIF"])
    factor = clear_factor(pil)
    pil.load()
    if factor > 1:
        pil.info["transparency"] *= factor
    return pil


def _strips(file: bytes) -> Iterator[tuple[slice, _RGBA]]:
    """The one frame of a file, some rows ``(h, W, 4)`` at a time; 16 bits are rounded to 8."""
    pil = _opened(file)
    for top, bottom in strips(pil.height, pil.width):
        strip = pil.crop((0, top, pil.width, bottom))
        if pil.mode.startswith("I;16"):
            deep = np.asarray(strip).astype(np.uint32)
            clear = np.where(deep == pil.info.get("transparency", -1), 0, 255)
            grey = (deep + 128) // 257
            yield slice(top, bottom), np.dstack([grey, grey, grey, clear]).astype(np.uint8)
        else:
            yield slice(top, bottom), np.asarray(strip.convert("RGBA"))


@dataclass
class _Open:
    """A frame of a PNG whose data are still to come."""

    control: tuple[int, ...]
    data: list[bytes] = field(default_factory=list)


def _png_parts(data: bytes) -> Iterator[Part]:
    """The frames of an animated PNG; a cover that is none of them is passed over."""
    head, frame = b"", None
    shared: dict[bytes, bytes] = {}
    for kind, start, end in chunks(data):
        if kind not in (b"IHDR", b"PLTE", b"tRNS", b"fcTL", b"IDAT", b"fdAT", b"IEND"):
            continue
        body = data[start + 8 : end - 4]
        if zlib.crc32(kind + body) != int.from_bytes(data[end - 4 : end], "big"):
            raise ValueError(f"its {kind.decode()} chunk is damaged")
        if kind == b"IHDR":
            head = body
        elif kind in (b"PLTE", b"tRNS"):
            shared.setdefault(kind, chunk(kind, body))  # one of each: every frame has to read them
        elif kind in (b"fcTL", b"IEND"):
            if frame is not None:
                yield _png_part(frame, head, [*shared.values()])
            frame = _Open(struct.unpack(">5I2H2B", body)[1:]) if kind == b"fcTL" else None
        elif frame is not None:
            frame.data.append(body if kind == b"IDAT" else body[4:])
    if frame is not None:  # cut off after its last frame
        yield _png_part(frame, head, [*shared.values()])


def _png_part(frame: _Open, head: bytes, shared: list[bytes]) -> Part:
    width, height, x, y, over_time, unit, dispose, blend = frame.control
    pixels = chunk(b"IDAT", b"".join(frame.data))
    own = chunk(b"IHDR", struct.pack(">2I", width, height) + head[8:])
    file = b"".join([SIGNATURE, own, *shared, pixels, chunk(b"IEND", b"")])
    duration = round(1000 * over_time / (unit or _BROWSERS))
    return Part(file, x, y, width, height, duration, dispose, blend == 1)


def _gif_parts(data: bytes) -> Iterator[Part]:
    """The frames of a GIF, each with its table of colours."""
    at = 13 + gif_table(data[10])
    shared, control = data[13:at], b""
    while at + 10 < len(data) and data[at] in (0x21, 0x2C):
        start = at
        if data[at] == 0x2C:
            x, y, width, height, own = struct.unpack_from("<4HB", data, at + 1)
            at = _after_blocks(data, at + 11 + gif_table(own))
            screen = struct.pack("<6s2H", b"GIF89a", width, height) + data[10:13]
            place = struct.pack("<B4H", 0x2C, 0, 0, width, height)
            file = b"".join([screen, shared, control, place, data[start + 9 : at], b";"])
            flags, delay = struct.unpack_from("<BH", control, 3) if control else (0, 0)
            dispose = _GIF_KINDS.get(flags >> 2 & 7, _KEEP)
            yield Part(file, x, y, width, height, 10 * delay, dispose)
            control = b""
        else:
            at = _after_blocks(data, at + 2)
            if data[start + 1] == 0xF9 and at - start == 8:
                control = data[start:at]


def _after_blocks(data: bytes, at: int) -> int:
    while at < len(data) and data[at]:
        at += data[at] + 1
    return at + 1
