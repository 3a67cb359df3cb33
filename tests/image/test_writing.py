"""What formats cannot hold, options, arrays, whole files or none."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srnet.errors import Cancelled, OptionError, OutputError, PictureError
from srnet.image import (
    FORMATS,
    SUFFIXES,
    Image,
    decode,
    encode,
    format_for,
    from_array,
    from_pil,
    read_file,
    to_pil,
    write_atomic,
)
from tests.image.support import (
    SRGB,
    bands,
    dtypes,
    exif,
    frames_of,
    noise,
    same,
    shapes,
    slope,
    tags,
)


def test_alpha_into_jpeg_needs_a_background():
    image = from_array(
        np.array([[[200, 100, 0, 255], [200, 100, 0, 0]]] * 16, np.uint8).repeat(16, 1)
    )
    with pytest.raises(OutputError, match="background"):
        encode([image], "jpeg")
    found = decode(encode([image], "jpeg", background=(10, 200, 60), quality=100))[0].rgb
    assert np.abs(found[:, 4].astype(int) - [200, 100, 0]).max() < 8
    assert np.abs(found[:, 28].astype(int) - [10, 200, 60]).max() < 8
    grey = from_array(np.dstack([image.rgb[..., 0], image.alpha]))
    assert decode(encode([grey], "jpeg", background=(9, 9, 9)))[0].rgb.shape[2] == 1
    assert decode(encode([grey], "jpeg", background=(9, 8, 9)))[0].rgb.shape[2] == 3


@given(st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 255))
def test_flattening_is_exact(colour, opacity, below):
    from srnet.convert import flattened

    image = from_array(np.array([[[colour, opacity]]], np.uint16))
    wanted = (colour * opacity + below * 257 * (65535 - opacity)) / 65535
    assert abs(float(flattened(image, (below,) * 3).rgb[0, 0, 0]) - wanted) <= 0.5


def test_what_a_format_cannot_hold_is_refused():
    wide = from_array(np.zeros((1, 16384, 1), np.uint8))
    with pytest.raises(OutputError, match=r"16383.*png"):
        encode([wide], "webp")
    with pytest.raises(OutputError, match=r"65500.*png"):
        encode([from_array(np.zeros((65501, 1), np.uint8))], "jpeg")
    assert decode(encode([wide], "png"))[0].width == 16384
    for name in ("jpeg", "tiff"):
        with pytest.raises(OutputError, match=r"2 frames.*webp"):
            encode(frames_of(2, 3), name)


def test_what_an_encoder_refuses_is_told_with_a_cure(monkeypatch):
    def broken(*_: object) -> bytes:
        raise ValueError("too long")

    monkeypatch.setattr("srnet.encode.write_png", broken)
    with pytest.raises(OutputError, match=r"2 x 2 pixels as png \(too long\): .* metadata"):
        encode([noise(2, 2, 3)], "png")


@pytest.mark.parametrize("name", ["png", "tiff", "jpeg", "apng"])
def test_encoding_can_be_stopped(name):
    frames = frames_of(2, 3) if name == "apng" else [noise(600, 600, 3)]
    name, asked = name.removeprefix("a"), []

    def check() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        encode(frames, name, check=check)
    assert encode(frames, name, check=check) == encode(frames, name)
    assert len(asked) > 3


@pytest.mark.parametrize(
    "options",
    [
        *({"quality": 0}, {"quality": 101}, {"subsampling": "4:1:1"}, {"png_level": 10}),
        *({"background": (0, 0, 256)}, {"background": (0, 0)}),
    ],
)
def test_options_out_of_range(options):
    with pytest.raises(OptionError):
        encode([noise(2, 2, 3)], "png", **options)


def test_unknown_formats_and_frames():
    with pytest.raises(OptionError, match="webp"):
        encode([noise(2, 2, 3)], "gif")
    with pytest.raises(OptionError, match="without loss"):
        encode([noise(2, 2, 3)], "jpeg", lossless=True)
    with pytest.raises(OptionError):
        encode([], "png")
    with pytest.raises(OptionError):
        encode([noise(2, 2, 3), noise(2, 3, 3)], "png")


def test_format_for():
    assert [format_for(Path("a" + s)) for s in (".PNG", ".jpg", ".jpeg", ".tif")] == [
        *("png", "jpeg", "jpeg", "tiff")
    ]
    for name, known in FORMATS.items():
        assert format_for(Path(f"x{known.suffix}")) == name
        assert set(known.suffixes) <= SUFFIXES
        assert known.media_type == f"image/{name}"
    for path in ("a.gif", "a"):
        with pytest.raises(OptionError, match=r"\.png"):
            format_for(Path(path))


@given(shapes, bands, dtypes)
def test_arrays_and_pillow_round_trip(shape, count, dtype):
    image = noise(*shape, count, dtype)
    assert image.rgb.flags.c_contiguous
    back = from_pil(to_pil(image))
    if dtype == np.uint8 or count == 1:
        assert same(back, image)
    else:
        assert np.array_equal(back.rgb, (image.rgb.astype(int) + 128) // 257)


def test_arrays_are_not_copied_without_need():
    array = np.zeros((4, 5, 3), np.uint8)
    assert np.shares_memory(from_array(array).rgb, array)
    assert from_array(array[..., 0]).rgb.shape == (4, 5, 1)


@pytest.mark.parametrize(
    "array",
    [
        *(np.zeros((4, 4, 3)), np.zeros((4, 4, 5), np.uint8), np.zeros((0, 4), np.uint8)),
        *(np.zeros(4, np.uint8), np.zeros((4, 4), np.int16)),
    ],
)
def test_arrays_that_are_no_pictures(array):
    with pytest.raises(OptionError, match=r"samples|\(H, W\)|not empty"):
        from_array(array)


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(PictureError, match="is a folder: give one picture"):
        read_file(tmp_path)


def test_alpha_must_fit():
    with pytest.raises(OptionError):
        Image(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.uint8))


def test_from_pil_applies_orientation_and_keeps_metadata():
    image = replace(slope(8, 12, 3), icc=SRGB)
    pil = to_pil(image)
    pil.info["exif"] = b"Exif\0\0" + exif(8, ">")
    found = from_pil(pil)
    assert np.array_equal(found.rgb, np.rot90(image.rgb))
    assert found.icc == SRGB
    assert tags(found.exif)[0x0112] == 1


def test_write_atomic(tmp_path):
    path = tmp_path / "ü.png"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_write_atomic_leaves_nothing_on_failure(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(OutputError, match="folder"):
        write_atomic(folder, b"x")
    with pytest.raises(OutputError, match=r"gone"):
        write_atomic(tmp_path / "gone" / "x.png", b"x")
    assert list(tmp_path.iterdir()) == [folder]


def test_write_atomic_keeps_the_old_file_when_the_disk_is_full(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    path.write_bytes(b"old")

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_atomic_keeps_permissions_and_replaces_links(tmp_path):
    private, link, far = (tmp_path / name for name in ("private", "link", "far"))
    private.write_bytes(b"old")
    private.chmod(0o600)
    write_atomic(private, b"new")
    assert (private.read_bytes(), private.stat().st_mode & 0o777) == (b"new", 0o600)
    plain = tmp_path / "plain"
    plain.touch()
    far.write_bytes(b"far")
    far.chmod(0o600)
    link.symlink_to(far)
    write_atomic(link, b"near")
    assert (link.read_bytes(), far.read_bytes()) == (b"near", b"far")
    assert not link.is_symlink()
    assert link.stat().st_mode & 0o777 == plain.stat().st_mode & 0o777  # not those of `far`


def test_write_atomic_does_without_a_sync_where_there_is_none(tmp_path, monkeypatch):
    def unknown(number):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", unknown)
    write_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"


def test_what_is_private_is_so_from_the_first_byte(tmp_path, monkeypatch):
    path, seen = tmp_path / "private", []
    path.write_bytes(b"old")
    path.chmod(0o600)
    monkeypatch.setattr(os, "fsync", lambda number: seen.append(os.fstat(number).st_mode & 0o777))
    write_atomic(path, b"new")
    assert seen == [0o600]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may")
def test_owners_keep_what_root_replaces(tmp_path):
    path = tmp_path / "theirs"
    path.write_bytes(b"old")
    path.chmod(0o640)
    os.chown(path, 1234, 4321)
    write_atomic(path, b"new")
    found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (1234, 4321, 0o640)
