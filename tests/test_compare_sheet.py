"""The side-by-side picture: its colours, and which details it shows."""

from __future__ import annotations

import struct
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from srnet.cli import main
from srnet.compare import same_size, side_by_side
from srnet.convert import plain
from srnet.image import Image, decode, encode
from srnet.pngcolour import profile

WIDE = profile({b"cICP": bytes([12, 13, 0, 1])}, grey=False)  # Display P3
PQ = (9, 16)  # codes of high dynamic range
LINEAR = profile({b"gAMA": struct.pack(">I", 100_000)}, grey=True)
GAP, ZOOM = 8, 4


def sheet_of(folder: Path, name: str, pictures: list[Image], *options: str) -> Image:
    """What the command writes for pictures that lie in files."""
    files = [folder / f"{i}.png" for i in range(len(pictures))]
    for file, picture in zip(files, pictures, strict=True):
        file.write_bytes(encode([picture], "png"))
    sheet = folder / name
    assert main(["compare", *map(str, files), "-o", str(sheet), *options]) == 0
    return decode(sheet.read_bytes())[0]


def flat(value: tuple[int, ...], icc: bytes | None, side: int = 80) -> Image:
    return Image(np.full((side, side, len(value)), value, np.uint8), icc=icc)


@pytest.mark.parametrize("name", ["s.png", "s.jpg", "s.webp", "s.tiff", "s.avif"])
def test_the_profile_of_both_is_that_of_the_sheet(tmp_path: Path, name: str) -> None:
    assert WIDE is not None
    pair = [flat((255, 0, 0), WIDE), flat((240, 10, 0), WIDE, 40)]  # one of which is resized
    sheet = sheet_of(tmp_path, name, pair)
    assert sheet.icc == WIDE
    assert np.abs(sheet.rgb[0, 0] - np.array([255, 0, 0])).max() <= 3
    assert np.abs(sheet.rgb[0, -1].astype(int) - 255).max() <= 3  # beside the panel is white


@pytest.mark.parametrize("name", ["s.png", "s.jpg", "s.webp", "s.tiff", "s.avif"])
@pytest.mark.parametrize(("space", "shown"), [(b"XYZ ", 168), (b"Lab ", 94)])
def test_grey_looks_as_it_is(tmp_path: Path, name: str, space: bytes, shown: int) -> None:
    assert LINEAR is not None
    icc = LINEAR[:20] + space + LINEAR[24:]
    sheet = sheet_of(tmp_path, name, [flat((100,), icc), flat((120,), icc, 40)])
    assert (sheet.rgb.shape[2] == 1) == (name not in ("s.webp", "s.avif"))
    seen = plain(sheet, deep=False).rgb.astype(int)
    assert np.abs(seen[0, 0] - shown).max() <= 3
    assert (seen[0, -1] >= 253).all()


def test_panels_of_two_spaces_are_shown_in_one() -> None:
    a, b = flat((255, 0, 0), None), flat((200, 60, 0), WIDE)
    sheet = side_by_side([a, b], crops=0)
    assert sheet.icc is None
    np.testing.assert_array_equal(sheet.rgb[:, :80], a.rgb)
    np.testing.assert_array_equal(sheet.rgb[:, 88:], plain(b, deep=False).rgb)


@pytest.mark.parametrize("name", ["s.png", "s.avif"])
def test_codes_of_high_range_are_those_of_the_sheet(tmp_path: Path, name: str) -> None:
    pair = [flat((200, 90, 20), None), flat((200, 90, 60), WIDE, 40)]  # they go before a profile
    sheet = sheet_of(tmp_path, name, [replace(picture, cicp=PQ) for picture in pair])
    assert (sheet.cicp, sheet.icc) == (PQ, None)
    assert np.abs(sheet.rgb[0, 0] - np.array([200, 90, 20])).max() <= 4


def test_grey_beside_colour() -> None:
    grey, colour = flat((90,), None), flat((90, 80, 70), None)
    sheet = side_by_side([grey, colour]).rgb
    assert (sheet[:80, :80] == 90).all()
    assert (sheet[0, 256 + GAP] == (90, 80, 70)).all()


def test_what_is_resized_keeps_its_profile_and_its_kind() -> None:
    assert same_size(flat((1, 2, 3), WIDE), 40, 40).icc == WIDE
    grey = same_size(flat((9,), LINEAR), 40, 40)
    assert (grey.icc, grey.rgb.shape) == (LINEAR, (40, 40, 1))


def details(blue: np.ndarray, count: int) -> list[tuple[int, int, np.ndarray]]:
    """Where the details lie, and how large the differences in them are.

    ``blue`` are those of the pictures, whose red and green tell row and column.
    """
    height, width = blue.shape
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[..., 0], rgb[..., 1] = np.mgrid[:height, :width]
    other = rgb.copy()
    other[..., 2] = blue
    sheet = side_by_side([Image(rgb), Image(other)], count).rgb
    panel = sheet[height + GAP :: ZOOM, (sheet.shape[1] + GAP) // 2 :: ZOOM]
    found = [panel[:, x : x + 64].astype(int) for x in range(0, panel.shape[1], 64 + GAP // ZOOM)]
    return [(d[0, 0, 0], d[0, 0, 1], d[..., 2]) for d in found if not (d == 255).all()]


def overlap(places: list[tuple[int, int, np.ndarray]]) -> int:
    """By how many pixels two of them overlap; negative where there is a gap."""
    return max(64 - max(abs(a[0] - b[0]), abs(a[1] - b[1])) for a, b in combinations(places, 2))


@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [
        ((120, 120), (90, 110), (90, 110)),  # at the right and at the bottom
        ((180, 190), (140, 170), (150, 185)),
        ((200, 250), (199, 200), (249, 250)),
        ((200, 250), (0, 1), (0, 1)),
        ((255, 255), (50, 80), (110, 140)),  # where a grid of windows from 0, 0 would cut it
    ],
)
def test_what_differs_is_in_the_first_detail(
    size: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    blue = np.zeros(size, np.uint8)
    blue[slice(*rows), slice(*columns)] = 50
    found = details(blue, 3)
    assert found[0][2].sum() == blue.sum()
    assert len(found) == 3


@pytest.mark.parametrize(
    ("size", "count"), [((130, 190), 4), ((250, 250), 9), ((255, 65), 3), ((64, 200), 3)]
)
def test_no_room_is_wasted(size: tuple[int, int], count: int, rng: np.random.Generator) -> None:
    for _ in range(20):
        blue = rng.integers(0, 9, size, np.uint8)
        blue[rng.integers(size[0])] = blue[:, rng.integers(size[1])] = 200
        found = details(blue, count)
        assert len(found) == count
        assert overlap(found) <= 0


def test_details_overlap_little_and_only_where_there_is_no_room() -> None:
    blue = np.zeros((120, 120), np.uint8)
    blue[:20, :20], blue[100:, 100:], blue[:20, 110:] = 50, 40, 30
    found = details(blue, 3)
    assert [place[:2] for place in found] == [(0, 0), (56, 56), (0, 56)]
    assert len(details(blue[:70, :70], 3)) == 1
