"""A folder of photographs: its pixels, its card, its errors."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from srnet.data import content_hash, describe, find_pictures, load_folder
from srnet.errors import DataError


def test_folder_and_manifest(rng: np.random.Generator, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.png", "sub/a.png"):
        pixels = rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a picture")
    pictures = load_folder(tmp_path)
    assert [p.shape for p in pictures.values()] == [(120, 160, 3)] * 2
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("file,licence\ntrain/a.png,CC0-1.0\ntrain/b.png,CC-BY-4.0\n")
    data = describe(tmp_path, pictures, manifest)
    assert (data.pictures, data.licences) == (2, ("CC-BY-4.0", "CC0-1.0"))
    assert len(data.manifest_sha256) == 64
    manifest.write_bytes(b"\xef\xbb\xbf" + manifest.read_bytes())  # as spreadsheets write it
    assert describe(tmp_path, pictures, manifest).licences == data.licences
    manifest.write_text("file,licence\ntrain/a.png,CC0-1.0\n")
    with pytest.raises(DataError, match=r"does not list b\.png with a licence"):
        describe(tmp_path, pictures, manifest)


def test_empty_and_broken_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no pictures"):
        load_folder(tmp_path)
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(DataError, match=r"x\.png.*move it out"):
        load_folder(tmp_path)


def test_what_is_hidden_or_a_folder_is_no_picture(rng: np.random.Generator, tmp_path: Path) -> None:
    (tmp_path / "thumbs.png").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("._a.png", ".hidden/b.png"):
        (tmp_path / name).write_bytes(b"text")
    PIL.Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    assert find_pictures(tmp_path) == [tmp_path / "a.png"]


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "closed", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "a.png").touch()
    real, closed = os.scandir, [".hidden"]

    def scandir(path: Path) -> object:
        if Path(path).name in closed:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert find_pictures(tmp_path) == [tmp_path / "a" / "a.png"]
    for name in ("closed", tmp_path.name):
        closed.append(name)
        with pytest.raises(DataError, match=rf"the folder \S*{name} \(Permission denied\): change"):
            find_pictures(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_nothing_is_read_that_has_no_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for name, target in (("piped", "pipe.png"), ("device", os.devnull), ("linked", "a/b.txt")):
        (tmp_path / f"{name}.png").symlink_to(target)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").touch()
    (tmp_path / "folder.png").symlink_to("a")
    (tmp_path / "gone.png").symlink_to("nothing")  # reading it tells why
    assert find_pictures(tmp_path) == [tmp_path / "gone.png", tmp_path / "linked.png"]


def test_every_broken_picture_is_named_at_once(tmp_path: Path) -> None:
    for index in range(7):
        (tmp_path / f"{index}.png").write_bytes(b"text")
    with pytest.raises(DataError, match=r"0\.png.*4\.png.*; and 2 more$"):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    "text", [None, b"name,kind\na.png,CC0\n", b"\xff\xfe", b"file,licence\na.png\n"]
)
def test_a_wrong_manifest(tmp_path: Path, text: bytes | None) -> None:
    PIL.Image.new("RGB", (60, 60)).save(tmp_path / "a.png")
    manifest = tmp_path / "manifest.csv"
    if text is not None:
        manifest.write_bytes(text)
    with pytest.raises(DataError, match=r"manifest\.csv"):
        describe(tmp_path, load_folder(tmp_path), manifest)


def test_pictures_of_one_name_are_told_apart(rng: np.random.Generator, tmp_path: Path) -> None:
    folder, manifest = tmp_path / "pictures", tmp_path / "manifest.csv"
    for name in ("a/x.png", "b/x.png", "c/y.png"):
        (folder / name).parent.mkdir(parents=True)
        pixels = rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / name)
    pictures = load_folder(folder)
    manifest.write_text("file,licence\na/x.png,CC0-1.0\nold/y.png,CC0-1.0\n")
    with pytest.raises(DataError, match=r"does not list b/x\.png with a licence \(1 in all\)"):
        describe(folder, pictures, manifest)
    manifest.write_text("file,licence\na/x.png,CC0-1.0\nb/x.png,CC-BY-4.0\ny.png,CC0-1.0\n")
    assert describe(folder, pictures, manifest).licences == ("CC-BY-4.0", "CC0-1.0")
    manifest.write_text(manifest.read_text().replace("a/x", "set/a/x").replace("b/x", "set/b/x"))
    assert describe(folder, pictures, manifest).licences == ("CC-BY-4.0", "CC0-1.0")
    manifest.write_text(manifest.read_text() + "old/y.png,CC-BY-4.0\n")
    with pytest.raises(DataError, match=r"does not list c/y\.png"):  # which of the two?
        describe(folder, pictures, manifest)


def test_one_left_out_does_not_lend_its_licence(rng: np.random.Generator, tmp_path: Path) -> None:
    folder, manifest = tmp_path / "pictures", tmp_path / "manifest.csv"
    for name in ("a/x.png", "b/x.png"):
        (folder / name).parent.mkdir(parents=True)
        PIL.Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).save(folder / name)
    manifest.write_text("file,licence\na/x.png,CC0-1.0\n")
    pictures = load_folder(folder)
    assert describe(folder, {folder / "a/x.png": pictures[folder / "a/x.png"]}, manifest)
    with pytest.raises(DataError, match=r"does not list b/x\.png"):
        describe(folder, {folder / "b/x.png": pictures[folder / "b/x.png"]}, manifest)


def test_contents_in_their_order_make_the_hash(tmp_path: Path) -> None:
    files = [tmp_path / name for name in "abc"]
    for file, content in zip(files, (b"1", b"2", b"1"), strict=True):
        file.write_bytes(content)
    a, b, c = files
    assert content_hash([a, b]) == content_hash([c, b])
    assert len({content_hash(each) for each in ([a, b], [b, a], [a], [a, b, c])}) == 4
