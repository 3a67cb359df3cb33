"""What a picture file says of itself before it is decoded: format, size, frames, EXIF.

Pillow opens it; what Pillow reads too late, too slowly or not at all is read here. A
private part of ``srnet/image.py``: nothing here turns errors into ours.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import PIL.Image

from srnet import avif, cicp, embedded, pngchunks, pngcolour, tiff, webp
from srnet.depth import BITS, cut, deep
from srnet.exif import upright, with_sides_swapped
from srnet.notes import NO_NOTES, Notes, of_picture
from srnet.pillow import FOREIGN, BoundedBytes, BoundedFile, as_read, quiet_pillow
from srnet.pixels import check_mode, resolution
from srnet.structure import check_scans, gif_extent
from srnet.xmp import upright as upright_xmp
from srnet.xmp import usable

EXIF_IFD, GPS_IFD, ORIENTATION, _TILE = 0x8769, 0x8825, 0x0112, (0x0142, 0x0143)
_MAKER_NOTE, _INTEROP = 0x927C, 0xA005
_CHANNELS, _PLANAR = 277, 284
_NO_TEXT = ("transparency", "dpi", "icc_profile", "default_image", "duration", "loop")
# Tags of a TIFF's first directory that describe the picture rather than its layout.
_DESCRIPTIVE = (
    *(269, 270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432),
    *(0x4746, 0x4749),  # a rating
    *range(0x9C9B, 0x9CA0),  # what Windows calls title, comment, author, keywords and subject
)

SIGNATURE = 16  # bytes at the start of a file that tell its format
_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"\xff\x4f\xff\x51": "JPEG2000",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG2000",
}
_GREY = ("1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N")  # modes of Pillow
# How files that are taken for pictures are called, when a folder is searched.
SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "tif", "tiff", "bmp", "dib"),
        *("gif", "avif", "jp2", "j2k", "jpx", "mpo"),
    )
)


@dataclass(frozen=True)
class Header:
    """What the header of a file says; ``width`` and ``height`` are after orientation."""

    format: str
    width: int
    height: int
    frames: int = 1
    depth: int = 8  # bits per sample that decoding will keep, 8 or 16
    cut: bool = False  # to 8 bits from more, by decoding
    grey: bool = False
    alpha: bool = False
    lossless: bool = False  # WebP that lost nothing; other formats do not say
    pages_left_out: int = 0  # of a TIFF, of which the first page is read
    cicp: tuple[int, int] | None = None  # of high dynamic range, see ``Image``


@dataclass(frozen=True)
class Source:
    """An opened file: Pillow's view of it, and what we found in its header ourselves."""

    pil: Any  # PIL.ImageFile.ImageFile; its attributes vary with the format
    header: Header
    exif: bytes | None = None
    orientation: int = 1  # still to be applied
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None  # see ``Image``
    notes: Notes = NO_NOTES


def format_of(data: bytes) -> str | None:
    """Pillow's name of the format whose signature ``data`` begins with."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis", b"mif1", b"msf1"):
        return "AVIF"
    return next((kind for magic, kind in _SIGNATURES.items() if data.startswith(magic)), None)


def open_picture(data: bytes) -> Source:
    """Open with Pillow, which reads the header only, as the format that the signature says.

    Raises any of ``FOREIGN``.
    """
    kind = format_of(data)
    if kind is None:
        raise ValueError("unknown signature" if data else "the file is empty")
    quiet_pillow()
    covered = True
    if kind == "GIF":
        width, height, frames, covered = gif_extent(data)
    shown = tiff.picture_first(data) if kind == "TIFF" else pngchunks.lean(data)
    pil: Any = PIL.Image.open(BoundedBytes(shown), formats=[kind])
    if kind != "GIF":
        (width, height), frames = pil.size, 1
    without_words(pil)
    xmp = _taken_xmp(pil, data)
    if kind in ("PNG", "WEBP", "AVIF"):
        frames = pil.n_frames - bool(pil.info.get("default_image"))
    _check_parts(pil, data)
    exif, orientation = _exif_of(pil, data)
    if orientation >= 5:
        width, height = height, width
    is_deep, composed = deep(pil, data), is_composed(kind, frames, pil)
    header = Header(
        kind,
        width,
        height,
        frames,
        depth=16 if is_deep and not composed else 8,
        cut=(is_deep and composed) or cut(pil, data),
        grey=pil.mode in _GREY,
        alpha=pil.mode[-1] in "Aa" or "transparency" in pil.info or not covered,
        lossless=webp.is_lossless(data),
        pages_left_out=tiff.later_pages(data) if kind == "TIFF" else 0,
        cicp=cicp.high_range(kind, data),
    )
    dpi = resolution(pil, max(orientation, tiff_turn(pil)))
    texts = pngchunks.texts(data) if kind == "PNG" else iter(())
    xmp = upright_xmp(xmp) if orientation > 1 else xmp
    return Source(pil, header, exif, orientation, xmp, dpi, of_picture(pil, texts))


def is_composed(kind: str, frames: int, pil: Any) -> bool:
    """Whether frames are to be laid over each other, see :mod:`srnet.animation`."""
    return kind == "GIF" or (kind == "PNG" and (frames > 1 or bool(pil.info.get("default_image"))))


def without_words(pil: Any) -> None:
    """Take texts of a PNG out of Pillow's ``info`` where it keeps what is no text."""
    if pil.format == "PNG":
        for name in _NO_TEXT:
            if isinstance(pil.info.get(name), str):
                del pil.info[name]


def clear_factor(pil: Any) -> int:
    """What the transparent grey of a PNG of 2 or 4 bits is short of: Pillow scales only pixels.

    Known until the pixels are loaded.
    """
    if pil.format != "PNG" or not pil.tile or not isinstance(pil.info.get("transparency"), int):
        return 1
    return {"L;2": 85, "L;4": 17}.get(pil.tile[0][3], 1)


def tiff_turn(pil: Any) -> int:
    """The orientation by which decoders will turn the pixels of a TIFF, and no more; else 1."""
    turn = pil.tag_v2.get(ORIENTATION, 1) if pil.format == "TIFF" else 1
    return turn if turn in range(1, 9) else 1


def _check_parts(pil: Any, data: bytes) -> None:
    check_mode(pil.mode)
    if (factor := clear_factor(pil)) > 1:
        pil.info["transparency"] *= factor
    if pil.format == "PNG":
        pngcolour.settle(pil.info, pngchunks.before_pixels(data), pil.mode in _GREY)
    if pil.format == "AVIF" and (found := avif.profile(data)) is not None:
        pil.info.setdefault("icc_profile", found)
    if (held := embedded.profile(pil.format, data)) is not None:
        pil.info["icc_profile"] = held
    if pil.format in ("JPEG", "MPO"):
        check_scans(data)
        _join_comments(pil)
    if pil.format == "TIFF":
        width, height = (int(pil.tag_v2.get(tag, 0)) for tag in _TILE)
        tiff.check_tiles(width, height, pil.width * pil.height)
        _check_planes(pil)
        if deep(pil, data) and pil.mode in ("RGB", "RGBA") and tiff.smaller_first(data):
            raise ValueError("a smaller copy lies before its picture of 16 bits")


def _join_comments(pil: Any) -> None:
    """All comments of a JPEG, each on lines of its own, where Pillow would take the last."""
    found = [body.rstrip(b"\0") for name, body in pil.applist if name == "COM"]
    if len(found) > 1:
        pil.info["comment"] = b"\n".join(found)


def _check_planes(pil: Any) -> None:
    """Of channels that lie in planes of their own, decoders read these kinds, and mix up others."""
    planar = pil.tag_v2.get(_PLANAR, 1) != 1 and pil.tag_v2.get(_CHANNELS, 1) > 1
    known = pil.tag_v2.get(BITS, (1,))[0] == 8 and pil.mode in ("RGB", "RGBA", "CMYK")
    if planar and not known:
        raise ValueError("its channels lie in separate planes")


def _taken_xmp(pil: Any, data: bytes) -> bytes | None:
    """The XMP packet, which Pillow is not to turn a TIFF by, as that is no tag of the file."""
    found = usable(pil.info.pop("xmp", None))
    if pil.format == "PNG":
        return pngchunks.xmp(data)
    if pil.format in ("JPEG2000", "GIF"):
        return embedded.xmp(pil.format, data)
    if tiff_turn(pil) != 1:
        return upright_xmp(found)
    return found


def size_of(path: Path) -> tuple[int, int]:
    """Height and width, after orientation, from as little of a file as possible.

    Raises any of ``FOREIGN``.
    """
    if not path.is_file():
        raise ValueError("no regular file")  # a pipe would wait, and can be read only once
    with BoundedFile(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        kind = format_of(view[:SIGNATURE])
        # Frames of a GIF may reach beyond its own size; of others what comes first is no picture.
        if kind in (None, "GIF") or (kind == "TIFF" and tiff.smaller_first(view)):
            header = open_picture(view[:]).header
            return header.height, header.width
        quiet_pillow()
        pil: Any = PIL.Image.open(file, formats=[kind])
        _, orientation = _exif_of(pil, view)
        width, height = pil.size
        return (width, height) if orientation >= 5 else (height, width)


def _exif_of(pil: Any, data: bytes | mmap.mmap) -> tuple[bytes | None, int]:
    """The block of the picture when it stands upright, and the orientation still to be applied."""
    exif, orientation = upright(pngchunks.exif(data) if pil.format == "PNG" else raw_exif(pil))
    return (with_sides_swapped(exif) if tiff_turn(pil) >= 5 else exif), orientation


def raw_exif(pil: Any) -> bytes | None:
    """The EXIF block as the file has it; for a TIFF, one built from its descriptive tags."""
    if pil.info.get("exif"):
        return bytes(pil.info["exif"])
    if getattr(pil, "tag_v2", None) is None:
        return None
    try:
        return _essence(pil.getexif())
    except FOREIGN:
        return None  # damaged metadata is no reason to refuse the picture


def fitting(exif: bytes | None, most: int) -> bytes | None:
    """The block if it has at most that many bytes, perhaps without thumbnail; else None."""
    if exif is None or len(exif) <= most:
        return exif
    block = PIL.Image.Exif()
    try:
        block.load(exif)
        short = _essence(block) or b""
    except FOREIGN:
        return None
    return short.removeprefix(b"Exif\0\0") if 0 < len(short) <= most else None


def _essence(found: PIL.Image.Exif) -> bytes | None:
    """A block of what describes the picture, without thumbnail and maker notes."""
    kept = PIL.Image.Exif()
    kept.update(described(found))
    for group in (EXIF_IFD, GPS_IFD):
        kept.get_ifd(group).update(described(found, group))
    return kept.tobytes() if len(kept) else None


def described(exif: PIL.Image.Exif, group: int | None = None) -> dict[int, Any]:
    """The tags that still mean something in another file: of the first directory, EXIF's or GPS's.

    Offsets into the old file would be rubbish in a new one: maker notes are full of them.
    """
    if group is None:
        kept = {tag: exif[tag] for tag in _DESCRIPTIVE if tag in exif}
    else:
        found = exif.get_ifd(group).items()
        kept = {tag: value for tag, value in found if tag not in (_MAKER_NOTE, _INTEROP)}
    return {tag: as_read(value) for tag, value in kept.items()}
