"""What `srnet upscale` makes of files and folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from srnet.bicubic import resize
from srnet.encode import encode
from srnet.image import Image, from_array
from tests.cli.support import picture, pixels, read, size


def test_a_file(up, capsys):
    assert up("a.png", "-o", "b.png") == 0
    assert size(Path("b.png")) == (20, 16)
    said = capsys.readouterr()
    assert said.out == ""
    assert "[1/1] a.png -> b.png  10x8 -> 20x16" in said.err
    assert "1 done" in said.err


def test_a_folder_keeps_its_tree(up, here):
    picture(here / "in" / "one.jpg", "jpeg")
    picture(here / "in" / "sub" / "deep" / "two.webp", "webp")
    (here / "in" / "notes.txt").touch()
    assert up("in", "a.png", "-o", "out") == 0
    made = sorted(p.relative_to("out").as_posix() for p in Path("out").rglob("*") if p.is_file())
    assert made == ["a.png", "one.jpg", "sub/deep/two.webp"]
    assert read(Path("out/one.jpg")).format == "JPEG"


def test_an_output_folder_inside_the_input_is_not_upscaled_again(up, here):
    for _ in range(2):
        assert up(".", "-o", "out", "--skip-existing", "--residual", "added") == 0
    files = sorted(p.relative_to(here).as_posix() for p in here.rglob("*") if p.is_file())
    assert files == ["a.png", "added/a.png.residual.png", "out/a.png"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-s", "3"], (30, 24)),
        (["--scale", "1.5"], (15, 12)),
        (["--width", "25"], (25, 20)),
        (["--height", "20"], (25, 20)),
        (["--fit", "100x20"], (25, 20)),
    ],
)
def test_sizes(up, arguments, expected):
    assert up("a.png", "-o", "b.png", *arguments) == 0
    assert size(Path("b.png")) == expected


def test_strength_zero_is_bicubic_and_one_is_not(up):
    assert up("a.png", "-o", "none.png", "--strength", "0", "--precision", "float32") == 0
    assert up("a.png", "-o", "all.png", "--precision", "float32") == 0
    base = resize(pixels(), 16, 20).astype(int)
    assert np.abs(read(Path("none.png")).rgb - base).max() <= 1
    assert up("a.png", "-o", "none", "--strength", "0", "--report", "r.json") == 0
    report = json.loads(Path("r.json").read_text())
    assert (report["settings"]["ran"], report["files"][0]["models"]) == ({}, [])
    assert np.abs(read(Path("all.png")).rgb - base).max() > 1


def test_an_ensemble_turns_with_the_picture(up, here):
    picture(here / "one.png", height=12, width=15)
    PIL.Image.open("one.png").transpose(PIL.Image.Transpose.ROTATE_180).save("turned.png")
    assert up("one.png", "turned.png", "-o", "2", "--ensemble", "2", "--report", "r.json") == 0
    assert up("one.png", "-o", "1") == 0
    one, turned = (read(Path(f"2/{name}.png")).rgb.astype(int) for name in ("one", "turned"))
    assert np.abs(one - turned[::-1, ::-1]).max() <= 1
    assert np.abs(one - read(Path("1/one.png")).rgb).max() > 1
    assert json.loads(Path("r.json").read_text())["settings"]["ensemble"] == 2


def test_tiles_do_not_show(up, here):
    picture(here / "large.png", height=40, width=50)
    assert up("large.png", "-o", "whole.png", "--precision", "float32") == 0
    assert up("large.png", "-o", "tiled.png", "--precision", "float32", "--tile", "24") == 0
    difference = read(Path("whole.png")).rgb.astype(int) - read(Path("tiled.png")).rgb
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(
    ("name", "suffix", "kind"),
    [("jpg", ".jpg", "JPEG"), ("webp", ".webp", "WEBP"), ("tif", ".tif", "TIFF")],
)
def test_format(up, name, suffix, kind):
    assert up("a.png", "-o", "out", "-f", name) == 0
    assert read(Path("out/a").with_suffix(suffix)).format == kind


@pytest.mark.parametrize("out", ["out.v2/", "there.v2", "new"])
def test_a_folder_may_have_a_dot(up, here, out):
    (here / "there.v2").mkdir()
    assert up("a.png", "-o", out) == 0
    assert size(Path(out) / "a.png") == (20, 16)


def test_the_output_of_several_is_a_folder_whatever_its_name(up, here):
    picture(here / "in" / "b.png")
    assert up("a.png", "in/b.png", "-o", "out.v2") == 0
    assert up("in", "-o", "out.v3") == 0
    assert Path("out.v2/b.png").exists()
    assert Path("out.v3/b.png").exists()


def test_a_smaller_result_is_called_so(up, capsys):
    assert up("a.png", "-o", "b.png", "--fit", "5x9") == 0
    said = capsys.readouterr().err
    assert "a.png -> b.png  10x8 -> 5x4  smaller than the input" in said
    assert "1 done, 1 smaller than the input" in said
    assert up("a.png", "-o", "c.png", "--fit", "50x9", "--dry-run") == 0
    assert "smaller" not in "".join(capsys.readouterr())


def test_quality(up, here):
    picture(here / "large.png", height=60, width=60)
    assert up("large.png", "-o", "fine.jpg", "-q", "98") == 0
    assert up("large.png", "-o", "rough.jpg", "--quality", "20") == 0
    assert Path("fine.jpg").stat().st_size > 1.5 * Path("rough.jpg").stat().st_size


def test_lossless(up):
    assert up("a.png", "-o", "a.webp", "--lossless") == 0
    assert up("a.png", "-o", "b.png") == 0
    assert np.array_equal(read(Path("a.webp")).rgb, read(Path("b.png")).rgb)


def test_webp_without_loss_stays_so_unless_asked_otherwise(up, here):
    def kind(name: str) -> str:
        return "exact" if read(Path(name)).lossless else "lossy"

    assert up("a.png", "-o", "a.webp", "--lossless") == 0
    assert up("a.png", "-o", "rough.webp") == 0
    assert up("a.webp", "-o", "b.webp") == 0
    assert up("a.webp", "-o", "c.webp", "--quality", "90") == 0
    assert up("rough.webp", "-o", "d.webp") == 0
    assert [kind(f"{name}.webp") for name in ("a", "rough", "b", "c", "d")] == [
        *("exact", "lossy", "exact", "lossy", "lossy")
    ]
    assert up("a.webp", "-o", "b.jpg") == 0  # which is no reason to refuse another format


def test_a_loss_of_depth_is_told(up, here, capsys):
    deep = from_array(pixels().astype(np.uint16) * 257)
    Path("deep.png").write_bytes(encode([deep], "png"))
    assert up("deep.png", "-o", "deep.jpg", "--report", "new/folder/r.json") == 0
    said = capsys.readouterr().err
    assert "rounded to 8 bits" in said
    assert "1 rounded to 8 bits" in said
    assert json.loads(Path("new/folder/r.json").read_text())["files"][0]["rounded_to_8_bit"] is True
    Path("cut.png").write_bytes(Path("deep.png").read_bytes()[:-30])
    assert up("cut.png", "-o", "cut.jpg", "--report", "-") == 1
    assert json.loads(capsys.readouterr().out)["files"][0]["rounded_to_8_bit"] is False
    assert up("deep.png", "-o", "deep2.png") == 0
    assert "rounded" not in capsys.readouterr().err


def test_pages_that_are_left_out_are_told(up, here, capsys):
    pages = [PIL.Image.fromarray(pixels()) for _ in range(3)]
    pages[0].save("scan.tif", save_all=True, append_images=pages[1:])
    pages[0].save("one.tif")
    assert up("scan.tif", "one.tif", "-o", "out", "--report", "r.json") == 0
    said = capsys.readouterr().err
    assert "scan.tif -> out/scan.tif  10x8 -> 20x16  without 2 more pages" in said
    assert "2 pages of TIFFs left out" in said
    scan, one = json.loads(Path("r.json").read_text())["files"]
    assert (scan["pages_left_out"], one["pages_left_out"]) == (2, 0)


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        (["-o", "b.png", "-q", "80"], "--quality means nothing to png"),
        (["-o", "b.jpg", "--png-level", "9"], "--png-level means nothing to jpeg"),
        (["-o", "b.webp", "--subsampling", "4:2:0"], "--subsampling means nothing to webp"),
        (["-o", "b.tif", "--background", "white"], "--background means nothing to tiff"),
        (["-o", "b.jpg", "-q", "80", "--subsampling", "4:2:0", "--background", "red"], None),
        (["-o", "b.png", "--png-level", "9"], None),
        (["-o", "b.png", "-q", "80", "--quiet"], None),
    ],
)
def test_an_option_without_effect_is_told(up, here, capsys, arguments, note):
    assert up("a.png", *arguments) == 0
    said = capsys.readouterr().err
    assert said.count("srnet: note: ") == (note is not None)
    assert note is None or f"srnet: note: {note}\n" in said


def test_background(up, here, capsys):
    (here / "clear.png").write_bytes(encode([from_array(np.zeros((8, 8, 4), np.uint8))], "png"))
    assert up("clear.png", "-o", "b.jpg") == 1
    assert "background" in capsys.readouterr().err
    assert not Path("b.jpg").exists()
    assert up("clear.png", "-o", "b.jpg", "--background", "#ff8000", "-q", "100") == 0
    assert np.abs(read(Path("b.jpg")).rgb.astype(int) - [255, 128, 0]).max() <= 3
    assert up("clear.png", "-o", "white.jpg", "--background", "white") == 0
    assert read(Path("white.jpg")).rgb.min() == 255
    assert up("clear.png", "-o", "c.jpg", "--background", "ff8000", "-q", "100") == 0
    assert Path("c.jpg").read_bytes() == Path("b.jpg").read_bytes()


def test_subsampling_and_png_level(up, here):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    (here / "noise.png").write_bytes(encode([Image(noise)], "png"))
    for ratio in ("4:4:4", "4:2:0"):
        assert (
            up("noise.png", "-o", f"{ratio[2:].replace(':', '')}.jpg", "--subsampling", ratio) == 0
        )
    assert up("noise.png", "-o", "usual.jpg") == 0
    assert Path("44.jpg").read_bytes() == Path("usual.jpg").read_bytes()
    assert Path("20.jpg").stat().st_size < 0.9 * Path("44.jpg").stat().st_size
    for level in ("0", "9"):
        assert up("noise.png", "-o", f"{level}.png", "--png-level", level) == 0
    assert Path("0.png").stat().st_size > Path("9.png").stat().st_size
    assert np.array_equal(read(Path("0.png")).rgb, read(Path("9.png")).rgb)


def test_metadata_is_kept_unless_stripped(up, here):
    import PIL.ImageCms

    icc = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
    (here / "icc.png").write_bytes(encode([Image(pixels(), icc=icc)], "png"))
    assert up("icc.png", "-o", "kept.png") == 0
    assert up("icc.png", "-o", "stripped.png", "--strip-metadata") == 0
    assert read(Path("kept.png")).icc == icc
    assert read(Path("stripped.png")).icc is None


def test_names(up):
    assert up("a.png", "-o", ".", "--name", "{stem}_x{scale}_{model}{suffix}", "-s", "2.5") == 0
    assert size(Path("a_x2.5_tiny-x2.png")) == (25, 20)
    assert up("a.png", "-o", "out", "--name", "{stem}_x{scale}{suffix}") == 0
    assert Path("out/a_x2.png").exists()


def test_residual(up):
    assert up("a.png", "-o", "b.png", "--residual", "added") == 0
    shown_residual = read(Path("added/b.png.residual.png")).rgb
    assert shown_residual.shape == (16, 20, 3)
    assert shown_residual.std() > 1
