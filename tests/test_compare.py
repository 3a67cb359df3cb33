"""Comparisons: figures, panels, the details that differ."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner

from srnet.cli import app, main
from srnet.compare import same_size, score, side_by_side
from srnet.errors import OptionError
from srnet.image import Image, decode, encode
from srnet.metrics import luma, psnr, ssim
from srnet.options import Options
from srnet.pngchunks import SIGNATURE
from tests.image.support import chunk, frames_of, png


@pytest.fixture
def two(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    a = rng.integers(50, 200, (64, 96, 3), dtype=np.uint8)
    b = a.copy()
    b[32:48, 64:80] += 40
    return a, b


def test_score(two: tuple[np.ndarray, np.ndarray]) -> None:
    same, other = score(Image(two[0]), Image(two[0])), score(Image(two[0]), Image(two[1]))
    assert (same.psnr, same.largest) == (float("inf"), 0)
    assert same.ssim == pytest.approx(1)
    assert other.largest == 40
    assert other.psnr < 40


def test_colour_that_nobody_sees_is_not_compared(two: tuple[np.ndarray, np.ndarray]) -> None:
    alpha = np.full(two[0].shape[:2], 255, np.uint8)
    alpha[30:50, 60:84] = 0
    hidden = score(Image(two[0], alpha), Image(two[1], alpha))
    assert (hidden.psnr, hidden.largest) == (float("inf"), 0)
    assert score(Image(two[0], alpha), Image(two[0])).largest > 0  # but that it is not seen counts


def test_side_by_side_shows_the_difference(two: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = two
    sheet = side_by_side([Image(a), Image(b)], crops=1, crop=16).rgb
    assert sheet.shape == (64 + 8 + 64, 96 + 8 + 96, 3)
    np.testing.assert_array_equal(sheet[:64, :96], a)
    np.testing.assert_array_equal(sheet[:64, 104:], b)
    zoomed = a[32:48, 64:80].repeat(4, 0).repeat(4, 1)
    np.testing.assert_array_equal(sheet[72:, :64], zoomed)
    with pytest.raises(OptionError, match="same size"):
        side_by_side([Image(a), Image(b[1:])])


def test_command(two: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    files = [tmp_path / f"{n}.png" for n in ("a", "b")]
    for file, array in zip(files, two, strict=True):
        PIL.Image.fromarray(array).save(file)
    a, b = map(str, files)
    sheet = tmp_path / "sheet.png"
    run = CliRunner().invoke
    done = run(app, ["compare", a, b, "--reference", a, "-o", str(sheet), "--json"])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures["second against reference"]["largest"] == 40
    details = 64 * 4  # wider than these panels
    assert decode(sheet.read_bytes())[0].width == 3 * details + 16
    assert run(app, ["compare", a, b, "-o", str(sheet)]).exit_code != 0  # never overwrites
    again = run(app, ["compare", a, b, "-o", str(sheet), "--overwrite", "--crops", "0"])
    assert again.exit_code == 0
    assert decode(sheet.read_bytes())[0].height == 64  # no details below


def test_pictures_of_two_sizes(tmp_path: Path, rng: np.random.Generator, capsys) -> None:
    sizes = {"small": (32, 48), "large": (64, 96), "odd": (33, 48), "tall": (96, 64)}
    files = {name: str(tmp_path / f"{name}.png") for name in sizes}
    for name, size in sizes.items():
        PIL.Image.fromarray(rng.integers(0, 255, (*size, 3), np.uint8)).save(files[name])
    assert main(["compare", files["large"], files["small"], "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["resized"] == [files["small"]]
    assert "small.png was resized from 48 x 32 to 96 x 64 pixels by bicubic" in said.err
    assert main(["compare", files["small"], files["large"]]) == 0
    assert "PSNR" in capsys.readouterr().out
    assert main(["compare", files["large"], files["large"], "--json"]) == 0
    said = capsys.readouterr()
    assert (json.loads(said.out)["resized"], said.err) == ([], "")
    assert main(["compare", files["odd"], files["large"]]) == 0  # a pixel from rounding
    for other in ("large", "small"):
        assert main(["compare", files["tall"], files[other]]) == 2
        assert "differ in shape" in capsys.readouterr().err


def test_details_are_apart_while_there_is_room(rng: np.random.Generator) -> None:
    """One spot with the largest differences does not take all crops."""
    a = rng.integers(50, 150, (96, 128, 3), dtype=np.uint8)
    b = a.copy()
    places = [(0, 0), (48, 64), (80, 112), (0, 16), (16, 0), (16, 16)]  # three near the first
    for (y, x), change in zip(places, (100, 20, 10, 90, 80, 70), strict=True):
        b[y : y + 16, x : x + 16] += change
    sheet = side_by_side([Image(a), Image(b)], crops=3, crop=16).rgb
    for i, (y, x) in enumerate(places[:3]):
        expected = a[y : y + 16, x : x + 16].repeat(4, 0).repeat(4, 1)
        np.testing.assert_array_equal(sheet[104:, 72 * i : 72 * i + 64], expected)


def test_details_are_neighbours_where_there_is_no_room(rng: np.random.Generator) -> None:
    a = rng.integers(50, 150, (64, 128, 3), dtype=np.uint8)
    b = a.copy()
    b[16:32, 16:32] += 50
    sheet = side_by_side([Image(a), Image(b)], crops=32, crop=16).rgb
    details = [sheet[72::4, x : x + 64 : 4].tobytes() for x in range(0, 32 * 72, 72)]
    corners = [(y, x) for y in range(0, 64, 16) for x in range(0, 128, 16)]
    cells = [a[y : y + 16, x : x + 16].tobytes() for y, x in corners]
    assert details[0] == cells[9]  # the one that differs
    assert sorted(details) == sorted(cells)  # each once


def test_enlarging_keeps_what_is_hidden_hidden(rng: np.random.Generator) -> None:
    rgb, alpha = rng.integers(0, 256, (24, 24, 3), np.uint8), np.zeros((24, 24), np.uint8)
    alpha[:, 12:] = 255
    rgb[:, 12:] = 255  # all that can be seen is white
    larger = same_size(Image(rgb, alpha), 48, 48)
    assert (larger.rgb == 255).all()
    assert larger.alpha is None


def test_figures_of_equal_pictures_are_json(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encode([Image(np.zeros((30, 30, 3), np.uint8))], "png"))
    done = CliRunner().invoke(app, ["compare", str(path), str(path), "--json"])
    found = json.loads(done.stdout, parse_constant=pytest.fail)
    assert found["first against second"] == {"psnr": None, "ssim": 1.0, "largest": 0}


def test_what_counts_as_white_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rgb, alpha = np.zeros((30, 30, 3), np.uint8), np.full((30, 30), 255, np.uint8)
    (tmp_path / "opaque.png").write_bytes(encode([Image(rgb, alpha)], "png"))
    (tmp_path / "clear.png").write_bytes(encode([Image(rgb[:15, :15], alpha[:15, :15] - 9)], "png"))
    names = [str(tmp_path / name) for name in ("opaque.png", "clear.png")]
    assert main(["compare", names[0], names[0]]) == 0
    assert "white" not in capsys.readouterr().err
    assert main(["compare", *names]) == 0
    assert f"{names[1]}: transparent parts count as white" in capsys.readouterr().err


def test_frames_and_pages_that_are_not_compared_are_told(
    tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    moving, paged = tmp_path / "moving.png", tmp_path / "paged.tif"
    moving.write_bytes(encode(frames_of(3, bands=3), "png"))
    pages = [PIL.Image.fromarray(rng.integers(0, 256, (12, 14, 3), np.uint8)) for _ in range(2)]
    pages[0].save(paged, save_all=True, append_images=pages[1:])
    assert main(["compare", str(moving), str(paged)]) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"srnet: {moving}: compared by the first of its 3 frames alone",
        f"srnet: {paged}: compared by the first of its 2 pages alone",
    ]


def test_pictures_of_two_spaces_are_compared_in_one(
    tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = chunk(b"gAMA", struct.pack(">I", 100_000))
    picture = decode(png(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8), 2, 8, wide))[0]
    for name, kept in (("kept", True), ("plain", False)):
        (tmp_path / f"{name}.png").write_bytes(encode([picture], "png", keep_metadata=kept))
    kept, plain = str(tmp_path / "kept.png"), str(tmp_path / "plain.png")
    assert main(["compare", kept, plain, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["first against second"]["largest"] <= 1
    assert f"{kept}: compared in sRGB" in err
    assert plain not in err
    assert main(["compare", kept, kept]) == 0
    assert "sRGB" not in capsys.readouterr().err


@pytest.mark.parametrize("other", [None, (9, 18), (12, 16)])
def test_pictures_of_two_dynamic_ranges_are_not_compared(
    tmp_path: Path, other: tuple[int, int] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [str(tmp_path / name) for name in ("a.png", "b.png")]
    for name, codes in zip(names, ((9, 16), other), strict=True):
        picture = replace(Image(np.full((30, 30, 3), 90, np.uint8)), cicp=codes)
        Path(name).write_bytes(encode([picture], "png"))
    assert main(["compare", names[0], names[0]]) == 0
    assert capsys.readouterr().err == ""
    assert main(["compare", *names]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "differ in their codes of high dynamic range" in err


def test_large_pictures_are_scored_in_parts(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = rng.integers(0, 200, (173, 40, 3), dtype=np.uint8)
    b = a + rng.integers(0, 9, a.shape, dtype=np.uint8)
    b[100] += 30
    whole = score(Image(a), Image(b))
    assert whole.psnr == pytest.approx(psnr(luma(a), luma(b)), abs=1e-9)
    assert whole.ssim == pytest.approx(ssim(luma(a), luma(b)), abs=1e-12)
    for pixels in (1, 1000, 3000):
        monkeypatch.setattr("srnet.compare._PART", pixels)
        parts = score(Image(a), Image(b))
        assert parts.psnr == pytest.approx(whole.psnr, abs=1e-9)
        assert parts.ssim == pytest.approx(whole.ssim, abs=1e-12)
        assert parts.largest == whole.largest
        assert score(Image(a), Image(a)).psnr == float("inf")


def test_results_of_upscale_are_not_too_large(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of files that are nothing but a header: only what is within the limit is decoded."""
    most = Options().max_pixels
    for width, said in (
        (most // 20_000, "damaged"),
        (
            most // 20_000 + 1,
            "of at most 500.0: shrink or crop it, or raise the limit (max_pixels in Python)",
        ),
    ):
        shape = struct.pack(">IIBBBBB", width, 20_000, 1, 0, 0, 0, 0)
        path = tmp_path / f"{width}.png"
        path.write_bytes(
            SIGNATURE + chunk(b"IHDR", shape) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
        )
        assert main(["compare", str(path), str(path)]) == 1
        assert said in capsys.readouterr().err
