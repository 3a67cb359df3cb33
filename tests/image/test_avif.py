"""What an AVIF says of its colours and its orientation."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import PIL.Image
import pytest

from srnet import avif, pngcolour
from srnet.image import decode, encode, read_header, to_pil
from tests.image.support import SRGB, exif, pillow, slope, tags

P3 = pngcolour.profile({b"cICP": bytes((12, 13, 0, 1))}, grey=False)


def coded(primaries: int, curve: int, **options) -> bytes:
    """A picture with these codes in place of those of sRGB, wherever they lie."""
    options = {"quality": 100, "subsampling": "4:4:4", **options}
    data = pillow(to_pil(slope(16, 24, 4 if options.pop("alpha", False) else 3)), "AVIF", **options)
    assert data.count(b"nclx") == 1 + ("append_images" in options)
    return data.replace(
        b"nclx" + struct.pack(">HH", 1, 13), b"nclx" + struct.pack(">HH", primaries, curve)
    )


@pytest.mark.parametrize("alpha", [False, True])
def test_codes_become_a_profile(alpha):
    data = coded(12, 13, alpha=alpha)
    assert avif.profile(data) == P3
    (image,) = decode(data)
    assert image.icc == P3
    assert decode(encode([image], "avif"))[0].icc == P3  # and not as codes of sRGB


def test_those_of_a_sequence_are_read_too():
    more = {"save_all": True, "append_images": [PIL.Image.new("RGB", (24, 16))], "duration": 9}
    assert {frame.icc for frame in decode(coded(12, 13, **more))} == {P3}


@pytest.mark.parametrize("codes", [(1, 13), (2, 2), (1, 1), (1, 6), (9, 16), (300, 13)])
def test_of_srgb_and_what_is_unknown_there_is_none(codes):
    assert decode(coded(*codes))[0].icc is None


def test_a_curve_for_video_is_shown_as_that_of_srgb():
    assert avif.profile(coded(12, 1)) == P3


def test_a_profile_goes_before_codes():
    data = pillow(to_pil(slope(16, 24, 3)), "AVIF", icc_profile=SRGB)
    assert decode(data)[0].icc == SRGB


def test_other_pictures_in_the_file_do_not_count():
    data = coded(12, 13, alpha=True)
    place = data.index(b"ipma")
    version, flags, count, item, links = struct.unpack_from(">B3sIHB", data, place + 4)
    assert (version, flags, count, item) == (0, bytes(3), 2, 1)
    renamed = struct.pack(">HB", 2, links)  # as if the codes were those of the second
    assert avif.profile(data[: place + 12] + renamed + data[place + 15 :]) is None


def test_damaged_boxes_say_nothing():
    data = coded(12, 13)
    for length in range(0, len(data), 3):
        assert avif.profile(data[:length]) in (None, P3)
    for place in range(0, data.index(b"mdat"), 2):
        avif.profile(data[:place] + b"\xff\xff" + data[place + 2 :])


@pytest.mark.parametrize("kind", [1, 3, 4, 9])
@pytest.mark.parametrize("format_", ["avif", "webp", "png"])
def test_the_orientation_is_read_and_reset_whatever_its_type(kind, format_):
    body = {1: "<BBH", 3: "<HH", 4: "<I", 9: "<i"}[kind]
    value = struct.pack(body, 6, *[0] * (len(body) - 2))
    block = exif(6).replace(
        struct.pack("<HHIHH", 0x112, 3, 1, 6, 0), struct.pack("<HHI", 0x112, kind, 1) + value
    )
    pictures = [to_pil(slope(16, 24, 3)), to_pil(slope(16, 24, 3)).rotate(180)]
    more = {"save_all": True, "append_images": pictures[1:], "duration": 9}
    data = pillow(pictures[0], "WEBP", exif=b"Exif\0\0" + block, lossless=True, **more)
    frames = decode(data)
    assert [(frame.height, frame.width) for frame in frames] == [(24, 16)] * 2
    again = encode(frames, format_)  # Pillow dies of an AVIF that is still to be turned
    assert [(frame.height, frame.width) for frame in decode(again)] == [(24, 16)] * 2
    found = tags(decode(again)[0].exif)
    assert found.get(0x112, 1) == 1
    assert found[0x10F] == "maker"


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_more_than_8_bits_are_told(bits: int) -> None:
    samples = np.zeros((16, 24, 3), np.uint8 if bits == 8 else np.uint16)
    written, data = cv2.imencode(".avif", samples, [cv2.IMWRITE_AVIF_DEPTH, bits])
    if not written:
        pytest.skip("this OpenCV writes no AVIF")
    assert avif.bits(data.tobytes()) == bits
    header = read_header(data.tobytes(), "a.avif")
    assert (header.depth, header.cut) == (8, bits > 8)
