"""What people and programs write into pictures beside EXIF and XMP: comments, texts, IPTC.

IPTC (captions, keywords and credits of news pictures) lies in a resource of Photoshop in JPEG
and some TIFF, in a tag of its own in other TIFF, and in hexadecimal in a text of a PNG. It is
taken over byte for byte.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeGuard

from srnet.errors import OptionError

COMMENT = "Comment"  # PNG's keyword for what JPEG and GIF call so
MOST = 1 << 22  # bytes that are kept of the texts of a picture, and of its IPTC
MOST_TEXTS = 1000
IPTC_TAG, RESOURCES_TAG = 33723, 34377  # of a TIFF
_SEGMENT = 65_533  # bytes that one of a JPEG holds
_PHOTOSHOP, _RESOURCE, _IPTC = b"Photoshop 3.0\0", b"8BIM", 0x0404
RAW = "Raw profile type "  # what ImageMagick calls other programs' data in a PNG


@dataclass(frozen=True)
class Notes:
    """``texts`` are pairs of a keyword (1 to 79 characters of Latin-1) and any text without NUL.

    A PNG holds all of them, a JPEG that under ``Comment``; IPTC goes into JPEG, TIFF and PNG.

    Raises ``OptionError`` for a pair that no PNG can hold.
    """

    texts: tuple[tuple[str, str], ...] = ()
    iptc: bytes | None = None

    def __post_init__(self) -> None:
        for keyword, text in self.texts:
            if not usable(keyword, text):
                raise OptionError(
                    f"a picture cannot hold a text under {keyword[:79]!r}: a keyword is 1 to 79 "
                    "characters of Latin-1, without spaces around it, and no text holds a NUL"
                )

    @property
    def comment(self) -> str:
        """The text under ``Comment``, or an empty one."""
        return next((text for keyword, text in self.texts if keyword == COMMENT), "")


NO_NOTES = Notes()


def usable(keyword: str, text: str) -> bool:
    """Whether a PNG can hold that text under that keyword."""
    with suppress(UnicodeEncodeError):
        name = keyword.encode("latin-1")
        text.encode()  # halves of surrogate pairs cannot be
        return 0 < len(name) < 80 and keyword == keyword.strip() and "\0" not in keyword + text
    return False


def of_picture(pil: Any, texts: Iterator[tuple[str, str]]) -> Notes:
    """The notes of an opened file: ``texts`` are those of a PNG, the rest is Pillow's to tell.

    What is damaged, absurdly long or nothing for a person to read is left out.
    """
    kept: list[tuple[str, str]] = []
    iptc, left = _iptc(pil), MOST
    comment = None if pil.format == "PNG" else pil.info.get("comment")  # there it is any text
    for keyword, text in ((COMMENT, _decoded(comment)),) if comment else texts:
        if keyword in (RAW + "iptc", RAW + "8bim"):
            body = raw_profile(text)
            iptc = iptc or (body if _is_iptc(body) else _from_resources(body))
        elif not keyword.startswith(RAW) and usable(keyword, text) and len(kept) < MOST_TEXTS:
            size = len(text.encode())
            if size <= left:  # a long one hides no other
                left -= size
                kept.append((keyword, text))
    return Notes(tuple(kept), iptc if iptc and len(iptc) <= MOST else None)


def png_texts(notes: Notes) -> Iterator[tuple[str, str]]:
    """All of the notes as texts of a PNG."""
    yield from notes.texts
    if notes.iptc:
        body = _resource(notes.iptc)
        digits = body.hex()
        lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
        yield RAW + "iptc", f"\niptc\n{len(body):8}\n{lines}\n"


def jpeg_segments(notes: Notes) -> dict[str, bytes]:
    """The notes as Pillow takes them for a JPEG; what is longer than a segment is left out."""
    parts = {"comment": notes.comment.encode()}
    if notes.iptc:
        parts["extra"] = _PHOTOSHOP + _resource(notes.iptc)
    parts = {name: body for name, body in parts.items() if 0 < len(body) <= _SEGMENT}
    if "extra" in parts:
        parts["extra"] = b"\xff\xed" + struct.pack(">H", len(parts["extra"]) + 2) + parts["extra"]
    return parts


def _decoded(text: Any) -> str:
    raw = text.encode() if isinstance(text, str) else bytes(text)
    raw = raw.rstrip(b"\0")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _iptc(pil: Any) -> bytes | None:
    """What a JPEG or TIFF holds of it, as the bytes that begin with its first field."""
    resources = pil.info.get("photoshop")
    found = resources.get(_IPTC) if isinstance(resources, dict) else None
    tags = getattr(pil, "tag_v2", None)
    if tags is not None:
        # Pillow takes one of the numbers that some writers call the bytes, so these are its own:
        found = tags._tagdata.get(IPTC_TAG, b"")
        turned = found[3:4] == b"\x1c" and len(found) % 4 == 0
        if turned and not _is_iptc(found):  # numbers that were turned with the file
            found = b"".join(found[at : at + 4][::-1] for at in range(0, len(found), 4))
        if not _is_iptc(found):
            found = _from_resources(tags.get(RESOURCES_TAG))
    return found if _is_iptc(found) else None


def _is_iptc(found: object) -> TypeGuard[bytes]:
    return isinstance(found, bytes) and found[:1] == b"\x1c"


def raw_profile(text: str) -> bytes:
    """What is in one: a name, a length and digits, each on lines of their own; empty if damaged."""
    try:
        return bytes.fromhex("".join(text.split("\n", 3)[3:]))
    except ValueError:
        return b""


def _resource(iptc: bytes) -> bytes:
    head = _RESOURCE + struct.pack(">HHI", _IPTC, 0, len(iptc))
    return head + iptc + bytes(len(iptc) % 2)


def _from_resources(data: object) -> bytes | None:
    """IPTC out of resources as Photoshop writes them, one after the other."""
    data = data.removeprefix(_PHOTOSHOP) if isinstance(data, bytes) else b""
    at = 0
    while data[at : at + 4] == _RESOURCE and at + 7 <= len(data):
        kind, name = struct.unpack_from(">HB", data, at + 4)
        at += 6 + (name + 2) // 2 * 2  # the name and its length together are even
        (size,) = struct.unpack_from(">I", data, at) if at + 4 <= len(data) else (0,)
        body = data[at + 4 : at + 4 + size]
        if kind == _IPTC:
            return body if _is_iptc(body) else None
        at += 4 + size + size % 2
    return None
