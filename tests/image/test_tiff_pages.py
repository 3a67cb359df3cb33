"""How many pages of a TIFF are not read."""

from __future__ import annotations

import struct

import PIL.Image
import pytest

from srnet.image import read_header
from srnet.tiff import later_pages

PAGE = ((256, 4, 9), (257, 4, 9))
THUMBNAIL = ((254, 4, 1), *PAGE)
MASK = ((254, 3, 4), *PAGE)


def chain(*pages: tuple[tuple[int, int, int], ...], order: str = "<", big: bool = False) -> bytes:
    """A file of directories, each with the entries (tag, type, value) of a page."""
    number, offset = ("Q", "Q") if big else ("H", "L")
    data = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    data += struct.pack(order + "HHQ", 8, 0, 16) if big else struct.pack(order + "L", 8)
    for left, page in zip(reversed(range(len(pages))), pages, strict=True):
        body = struct.pack(order + number, len(page))
        for tag, kind, value in page:
            body += struct.pack(order + "HH" + offset, tag, kind, 1)
            body += struct.pack(order + ("H" if kind == 3 else "L"), value).ljust(
                struct.calcsize(order + offset), b"\0"
            )
        after = len(data) + len(body) + struct.calcsize(order + offset)
        data += body + struct.pack(order + offset, after if left else 0)
    return data


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_pages_are_counted_but_no_thumbnails_or_masks(order, big):
    def more(*pages):
        return later_pages(chain(*pages, order=order, big=big))

    assert more(PAGE) == 0
    assert more(PAGE, PAGE, PAGE) == 2
    assert more(PAGE, THUMBNAIL, MASK) == 0
    assert more(THUMBNAIL, PAGE) == 0  # which is the picture
    assert more(THUMBNAIL, MASK) == 0
    assert more(THUMBNAIL, PAGE, MASK, PAGE) == 1
    assert more(PAGE, ()) == 1


def test_a_damaged_chain_ends():
    data = chain(PAGE, PAGE, PAGE)
    assert [later_pages(data[:-cut]) for cut in (4, 20, 40)] == [1, 1, 0]
    assert later_pages(data[:-4] + struct.pack("<L", 8)) == 2  # leads back to the first
    assert later_pages(b"II+\0\x08\0\0\0" + b"\xff" * 40) == 0
    assert later_pages(b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**63) + b"\0" * 40) == 0
    for length in range(12):
        assert later_pages(data[:length]) == 0


def test_only_tiffs_have_pages():
    assert later_pages(b"\xff\xd8\xff" + b"\0" * 50) == 0
    assert later_pages(b"") == 0


def test_the_header_tells(tmp_path):
    pages = [PIL.Image.new("L", (9, 8), level) for level in (1, 2, 3)]
    for name, options in {"a.tif": {}, "b.tif": {"big_tiff": True}}.items():
        path = tmp_path / name
        pages[0].save(path, save_all=True, append_images=pages[1:], **options)
        assert read_header(path.read_bytes(), name).pages_left_out == 2
    pages[0].save(tmp_path / "c.tif")
    assert read_header((tmp_path / "c.tif").read_bytes(), "c").pages_left_out == 0
