"""Paths that a result cannot have."""

from __future__ import annotations

from pathlib import Path

import PIL.Image
import pytest

import srnet
from srnet.errors import OptionError, OutputError, PictureError
from srnet.files import write_atomic
from srnet.options import Options
from srnet.upscaler import Upscaler

LONG = "x" * 300


@pytest.fixture
def source(tmp_path: Path) -> Path:
    PIL.Image.new("L", (4, 4)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.mark.parametrize("folder", ["", "new", "new/deep"])
def test_too_long_a_name_is_refused_first(
    source: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setattr("srnet.product.load", None)
    for overwrite in (False, True):
        with pytest.raises(OptionError, match="is a longer name than files can have"):
            srnet.upscale(source, source.parent / folder / f"{LONG}.png", overwrite=overwrite)


def test_a_zero_byte_is_in_no_path(source: Path, fake_engine: type) -> None:
    with pytest.raises(PictureError, match="is no path"):
        Upscaler([fake_engine()])("a\0b")
    with pytest.raises(OptionError, match="a byte that no name can hold"):
        srnet.upscale(source, "a\0b.png")


def test_too_long_a_name_needs_no_other_cure(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"\(File name too long\): choose a shorter name"):
        write_atomic(tmp_path / "new" / f"{LONG}.png", b"", parents=True)


def test_a_name_that_becomes_too_long_beside_its_input(source: Path, fake_engine: type) -> None:
    source = source.rename(source.with_name("y" * 251 + ".png"))
    with pytest.raises(OptionError, match=r"y_x2\.png is a longer name than files can have"):
        Upscaler([fake_engine()])(source)


def test_a_link_to_nothing_is_something_there(
    source: Path, tiny_weights: dict[int, Path], fake_engine: type
) -> None:
    link = source.with_name("a_x2.png")
    link.symlink_to("nowhere.png")
    with pytest.raises(OutputError, match=r"a_x2\.png exists: choose another name"):
        srnet.upscale(source, link)
    with pytest.raises(OutputError, match=r"a_x2\.png exists: move it away"):
        Upscaler([fake_engine()])(source, Options())
    assert srnet.upscale(source, link, model=tiny_weights[2], overwrite=True) == link
    assert not link.is_symlink()


def test_a_file_that_appears_meanwhile_stays(source: Path, tiny_weights: dict[int, Path]) -> None:
    target = source.with_name("a_x2.png")

    def appear(*_: int) -> None:
        target.write_bytes(b"precious")

    up = srnet.load(tiny_weights[2])
    with pytest.raises(OutputError, match=r"a_x2\.png exists: .* appeared meanwhile"):
        up(source, progress=appear)
    target.unlink()
    with pytest.raises(OutputError, match=r"a_x2\.png exists: .* appeared meanwhile"):
        srnet.upscale(source, target, model=tiny_weights[2], progress=appear)
    assert target.read_bytes() == b"precious"


def test_no_format_is_that_of_the_name(source: Path, tiny_weights: dict[int, Path]) -> None:
    target = srnet.upscale(source, source.with_name("b.webp"), model=tiny_weights[2], format=None)
    with PIL.Image.open(target) as picture:
        assert picture.format == "WEBP"
    with pytest.raises(OptionError, match=r"b\.png is called like png, but format is webp"):
        srnet.upscale(source, source.with_name("b.png"), model=tiny_weights[2], format="webp")
