"""Passes, progress, limits, and what is refused."""

from __future__ import annotations

import copy
import dataclasses
import io
import os
import pickle
import typing
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

import srnet
from srnet.errors import Cancelled, OptionError, OutputError, PictureError
from srnet.image import Header, Image, read_header
from srnet.options import Options, OptionWords
from srnet.upscaler import Upscaler
from tests.upscaler.support import png


@pytest.mark.parametrize(
    ("options", "size", "runs"),
    [
        ({}, (20, 30), 1),
        ({"scale": 1}, (10, 15), 1),
        ({"scale": 3}, (30, 45), 1),
        ({"scale": 8}, (80, 120), 2),
        ({"scale": 2.5}, (25, 38), 1),
        ({"width": 33}, (22, 33), 1),
        ({"height": 90}, (90, 135), 2),
        ({"fit": (30, 30)}, (20, 30), 1),
        ({"fit": (6, 6)}, (4, 6), 0),
    ],
)
def test_sizes_and_passes(fake_engine: type, options: dict, size: tuple, runs: int) -> None:
    engines = [fake_engine(4), fake_engine(2)]
    x = np.full((10, 15, 3), 77, np.uint8)
    y = Upscaler(engines)(x, Options(**options))
    assert y.shape == (*size, 3)
    assert (y == 77).all()
    assert sum(len(e.shapes) for e in engines) == runs


def test_progress_counts_every_batch(fake_engine: type) -> None:
    seen: list[tuple[int, int]] = []
    up = Upscaler([fake_engine(2), fake_engine(4)])
    frames = [Image(np.zeros((40, 30, 3), np.uint8))] * 2
    up.run(frames, Options(scale=8, tile=20, batch_pixels=400), lambda *p: seen.append(p))
    total = seen[0][1]
    assert seen == [(i + 1, total) for i in range(total)]
    assert total > 10


def test_an_exception_in_progress_stops_at_once(fake_engine: type) -> None:
    engine = fake_engine()

    def stop(done: int, total: int) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        Upscaler([engine])(np.zeros((90, 90, 3), np.uint8), Options(tile=20), stop)
    assert len(engine.shapes) == 1


def test_upscale_files(tiny_weights: dict[int, Path], tmp_path: Path, picture: np.ndarray) -> None:
    source, target = tmp_path / "ünï 日本.png", tmp_path / "out.webp"
    source.write_bytes(png(picture))
    model = str(tiny_weights[2])
    assert srnet.upscale(source, target, model=model, scale=3) == target
    assert read_header(target.read_bytes(), "").width == 87
    with pytest.raises(OutputError, match="overwrite"):
        srnet.upscale(source, target, model=model)
    srnet.upscale(source, target, model=model, overwrite=True)
    assert read_header(target.read_bytes(), "").width == 58
    with pytest.raises(PictureError, match=r"missing\.png"):
        srnet.upscale(tmp_path / "missing.png", tmp_path / "x.png", model=model)


def test_what_type_checkers_know_as_options_are_the_options():
    known = {field.name: field.type for field in dataclasses.fields(Options)}
    words = OptionWords.__annotations__
    assert {name: word.__forward_arg__ for name, word in words.items()} == known


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sharpness": 3}, "unknown option 'sharpness': there are scale, width"),
        ({"scale": 99}, "from 1 to 16, not 99"),
        ({"scale": "2"}, "scale must be a number from 1 to 16, not '2'"),
        ({"scale": True}, "scale must be a number from 1 to 16, not True"),
        ({"width": 9.5}, "width must be a whole number of pixels, not 9.5"),
        ({"height": "9"}, "height must be a whole number of pixels, not '9'"),
        ({"fit": "9x9"}, "fit must be two whole numbers of pixels"),
        ({"fit": (9,)}, "fit is a box of width and height"),
        ({"strength": "1"}, "strength must be a number from 0 to 1, not '1'"),
        ({"strength": None}, "strength must be a number from 0 to 1, not None"),
        ({"format": 3}, "format must be one of png, jpeg"),
        ({"quality": "90"}, "quality must be a whole number from 1 to 100, not '90'"),
        ({"lossless": "no"}, "lossless must be True or False, not 'no'"),
        ({"subsampling": 420}, "subsampling must be one of 4:4:4, 4:2:2, 4:2:0, not 420"),
        ({"png_level": None}, "png_level must be a whole number from 0 to 9"),
        ({"keep_metadata": 1}, "keep_metadata must be True or False, not 1"),
        ({"background": "#ffffff"}, "background must be three whole numbers"),
        ({"tile": 9.0}, "tile must be a whole number of pixels, not 9.0"),
        ({"batch_pixels": "9"}, "batch_pixels must be a whole number"),
        ({"max_pixels": "9"}, "max_pixels must be a number of pixels, not '9'"),
        ({"device": 0}, "device must be a name, such as 'cpu', not 0"),
        ({"engine": None}, "engine must be a name, such as 'auto', not None"),
        ({"scale": 2, "width": 300}, "give one of scale"),
        ({"height": 0}, "at least 1 pixel"),
        ({"fit": (0, 9)}, "at least 1 pixel"),
        ({"strength": -1}, "strength must be"),
        ({"format": "bmp"}, "choose one of png"),
        ({"quality": 101}, "quality is 1 to 100"),
        ({"format": "avif", "lossless": True}, "without loss"),
        ({"background": (0, 0, 256)}, "background is"),
        ({"max_pixels": 0}, "max_pixels must be"),
        ({"device": "abacus"}, "choose auto, cpu, cuda"),
        ({"device": "cuda:x"}, "choose auto, cpu, cuda"),
        ({"precision": "int3"}, "choose auto, float32"),
    ],
)
def test_what_could_never_work_is_refused_at_once(
    tiny_weights: dict[int, Path], options: dict, message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        srnet.load(str(tiny_weights[2]), **options)


def test_numbers_of_numpy_are_numbers() -> None:
    Options(scale=np.float32(2), tile=np.int64(64), max_pixels=1e9)
    Options(width=np.int32(9))


def test_options_that_are_none_are_refused(fake_engine: type, picture: np.ndarray) -> None:
    up = Upscaler([fake_engine()])
    for work in (up, up.residual):
        with pytest.raises(OptionError, match=r"options must be srnet\.Options"):
            work(picture, {"scale": 2})


def test_lossless_is_refused_where_the_input_decides_the_format(fake_engine: type) -> None:
    engine, jpeg = fake_engine(), io.BytesIO()
    PIL.Image.new("RGB", (8, 8)).save(jpeg, "JPEG")
    with pytest.raises(OptionError, match="without loss"):
        Upscaler([engine]).upscale_bytes(jpeg.getvalue(), Options(lossless=True))
    assert engine.shapes == []


@pytest.mark.parametrize("thing", [3, None, [[1, 2], [3, 4]]])
def test_other_kinds_are_refused_by_name(fake_engine: type, thing: object) -> None:
    up = Upscaler([fake_engine()])
    for work in (up, up.residual):
        with pytest.raises(OptionError, match="a numpy array, a PIL image") as caught:
            work(thing)
        assert str(caught.value).endswith(f"not {type(thing).__name__}")
        with pytest.raises(OptionError, match=r"has no pixels: it is \(0, 5\)"):
            work(PIL.Image.new("RGB", (0, 5)))


def test_two_runs_give_the_same_bytes(up: Upscaler, picture: np.ndarray) -> None:
    assert up(png(picture)) == up(png(picture))


@pytest.mark.parametrize(
    ("options", "cure"),
    [
        (Options(format="jpeg"), "background"),
        (Options(format="webp", width=17_000), "16383"),
    ],
)
def test_what_no_file_can_hold_is_refused_before_the_network(
    fake_engine: type, options: Options, cure: str
) -> None:
    engine = fake_engine(4)
    data = png(np.zeros((4, 1100, 4), np.uint8))
    with pytest.raises(OutputError, match=cure):
        Upscaler([engine]).upscale_bytes(data, options)
    assert engine.shapes == []


def test_high_range_is_refused_by_the_header_alone(fake_engine: type) -> None:
    up, header = Upscaler([fake_engine()]), Header("PNG", 8, 8, cicp=(9, 16))
    for kind in ("jpeg", "webp", "tiff"):
        with pytest.raises(OutputError, match="high dynamic range"):
            up.check_output(header, Options(format=kind))
    up.check_output(header, Options())


@pytest.mark.parametrize("tile", [20, 33, 64])
def test_a_smaller_tile_bounds_every_batch(fake_engine: type, tile: int) -> None:
    engine = fake_engine()
    Upscaler([engine])(np.zeros((150, 130, 3), np.uint8), Options(tile=tile))
    assert max(n * h * w for n, h, w, _ in engine.shapes) <= tile * tile


def test_the_package_lists_what_it_has() -> None:
    assert {*srnet.__all__} <= {*dir(srnet)}
    assert all(hasattr(srnet, name) for name in dir(srnet))


def test_an_upscaler_says_what_it_is_and_stays_in_its_process(fake_engine: type) -> None:
    up = Upscaler([fake_engine()])
    assert repr(up).startswith("<srnet.Upscaler of ")
    with pytest.raises(TypeError, match=r"call srnet\.load in each"):
        pickle.dumps(up)
    assert copy.copy(up).engines == up.engines


def test_a_path_is_wanted_and_its_folder_is_made(tmp_path: Path, tiny_weights: dict) -> None:
    with pytest.raises(OptionError, match=r"source must be a path, not ndarray: .*srnet\.load"):
        srnet.upscale(np.zeros((4, 4), np.uint8), tmp_path / "a.png")
    PIL.Image.new("L", (4, 4)).save(tmp_path / "a.png")
    target = tmp_path / "new" / "folder" / "b.png"
    (entry,) = os.scandir(tmp_path)
    assert srnet.upscale(entry, target, model=tiny_weights[2]) == target
    assert target.is_file()


def test_hints_can_be_read_when_it_runs():
    for function in (srnet.load, srnet.upscale):
        assert "options" in typing.get_type_hints(function)
