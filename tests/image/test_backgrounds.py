"""A background is a colour of sRGB, whatever the space of the picture that is laid over it."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import ImageCms

from srnet import pngcolour
from srnet.convert import flattened, plain
from srnet.image import Image, decode, encode

LINEAR = {b"gAMA": struct.pack(">I", 100_000)}
BT2020 = {b"cICP": bytes([9, 13, 0, 1])}
GREY, COLOUR = (128, 128, 128), (200, 30, 30)


def clear(bands: int, icc: bytes | None, dtype: type = np.uint8) -> Image:
    return Image(np.zeros((8, 8, bands), dtype), np.zeros((8, 8), dtype), icc)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colour", [GREY, COLOUR])
@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("chunks", [LINEAR, BT2020])
def test_it_is_shown_as_it_was_asked_for(chunks, bands, colour, dtype) -> None:
    icc = pngcolour.profile(chunks, bands == 1)
    data = encode([clear(bands, icc, dtype)], "jpeg", background=colour, quality=100)
    (found,) = decode(data)
    assert found.icc is not None
    assert np.abs(plain(found, deep=False).rgb[4, 4].astype(int) - colour).max() <= 4


def test_without_metadata_too() -> None:
    icc = pngcolour.profile(LINEAR, grey=False)
    data = encode([clear(3, icc)], "jpeg", background=GREY, keep_metadata=False)
    assert np.abs(decode(data)[0].rgb[4, 4].astype(int) - GREY).max() <= 2


def test_a_profile_that_changes_nothing_leaves_it_exact() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for icc in (None, srgb, srgb[:200]):
        assert flattened(clear(3, icc), COLOUR).rgb[0, 0].tolist() == [*COLOUR]


def test_a_profile_with_no_way_back_turns_the_picture_into_srgb(monkeypatch) -> None:
    monkeypatch.setattr("srnet.convert.in_profile", lambda *_: None)
    icc = pngcolour.profile(LINEAR, grey=False)
    lit = Image(np.full((8, 8, 3), 55, np.uint8), clear(3, None).alpha, icc)
    lit.alpha[:, :4] = 255
    found = flattened(lit, COLOUR)
    assert found.icc is None
    assert np.abs(found.rgb[0, 0].astype(int) - GREY).max() <= 1
    assert found.rgb[0, 7].tolist() == [*COLOUR]
