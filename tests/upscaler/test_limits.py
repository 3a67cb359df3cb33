"""Limits: of pixels, of numbers, of memory."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

import srnet
from srnet.batch import run
from srnet.errors import OptionError, PictureError, TooLargeError
from srnet.image import Image
from srnet.naming import Job
from srnet.options import Options
from srnet.upscaler import Upscaler
from tests.upscaler.support import png


def test_what_passes_the_limit_is_named_by_its_own_size(fake_engine: type) -> None:
    data, up = png(np.zeros((40, 60), np.uint8)), Upscaler([fake_engine()])
    with pytest.raises(TooLargeError) as caught:
        up.upscale_bytes(data, Options(scale=1.1, max_pixels=5000))
    assert str(caught.value).startswith(
        "what is then shrunk to 66 x 44 would have 0.0096 megapixels (120 x 80); the limit is 0.005"
    )
    with pytest.raises(TooLargeError, match=r"^the result would have 0.0096 .* \(120 x 80\)"):
        up.upscale_bytes(data, Options(scale=2, max_pixels=5000))


def test_limit_is_read_from_the_header(fake_engine: type) -> None:
    data = png(np.zeros((100, 100, 3), np.uint8))[:60]  # the header, and no picture
    with pytest.raises(TooLargeError, match="limit"):
        Upscaler([fake_engine()]).upscale_bytes(data, Options(max_pixels=39_999))
    with pytest.raises(PictureError):
        Upscaler([fake_engine()]).upscale_bytes(data, Options(max_pixels=40_000))


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"width": np.uint16(400)}, (600, 400)),
        ({"height": np.int16(400)}, (400, 267)),
        ({"fit": (np.uint8(200), np.uint16(1000))}, (300, 200)),
        ({"scale": np.float16(2)}, (600, 400)),
        ({"scale": Fraction(3, 2)}, (450, 300)),
    ],
)
def test_no_number_overflows(fake_engine: type, options: dict, size: tuple[int, int]) -> None:
    up = Upscaler([fake_engine()])
    assert up.size(300, 200, Options(**options, tile=np.int16(400))) == size
    with pytest.raises(OptionError, match="scale must be from 1 to 16, not 33"):
        Options(scale=Fraction(33))


def test_every_kind_is_held_to_the_limit(up: Upscaler, picture: np.ndarray) -> None:
    for kind in (picture, PIL.Image.fromarray(picture), Image(picture), png(picture)):
        for call in (up, up.residual):
            with pytest.raises(TooLargeError, match="the result would have"):
                call(kind, Options(max_pixels=100))


def test_memory_that_runs_out_is_an_error_of_ours(
    up: Upscaler, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(srnet.enlarge, "run_passes", fail)
    for call in (up, up.residual, up.upscale_bytes):
        with pytest.raises(TooLargeError, match="not enough memory for the picture and its result"):
            call(png(picture))


def test_each_picture_is_checked_once(
    fake_engine: type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, picture: np.ndarray
) -> None:
    seen: list[str] = []

    class Counted(Upscaler):
        def check(self, header, options) -> None:
            seen.append("check")
            super().check(header, options)

    def count(*target: object) -> None:
        seen.append("target")

    up, path = Counted([fake_engine()]), tmp_path / "a.png"
    path.write_bytes(png(picture))
    options = Options(scale=3)
    monkeypatch.setattr("srnet.sizes.check_target", count)
    for work in (up, up.residual):
        for thing in (path.read_bytes(), path):
            work(thing, options)
            assert seen == ["check"]
            seen.clear()
    job = Job(path, tmp_path / "b.png", "png", tmp_path / "c.png")
    assert run([job], up, options).count("done") == 1
    assert seen == ["check"]
