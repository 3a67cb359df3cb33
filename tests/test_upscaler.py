"""The product object: every kind of picture, sizes, strength, residual, limits, progress."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

import srnet
from srnet.batch import run
from srnet.bicubic import resize
from srnet.enlarge import RESIDUAL_GAIN, SURROUND
from srnet.errors import Cancelled, OptionError, OutputError, PictureError, TooLargeError
from srnet.image import Image, decode, read_header
from srnet.naming import Job
from srnet.options import Options
from srnet.upscaler import Upscaler


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def up(tiny_weights: dict[int, Path]) -> Upscaler:
    return srnet.load(str(tiny_weights[2]), device="cpu", precision="float32")


@pytest.fixture
def picture(rng: np.random.Generator) -> np.ndarray:
    return resize(rng.integers(0, 256, (7, 6, 3), dtype=np.uint8), 35, 29)


def test_same_kind_comes_back(up: Upscaler, picture: np.ndarray, tmp_path: Path) -> None:
    from_array = up(picture)
    assert from_array.shape == (70, 58, 3)
    np.testing.assert_array_equal(decode(up(png(picture)))[0].rgb, from_array)
    pil = up(PIL.Image.fromarray(picture))
    assert isinstance(pil, PIL.Image.Image)
    np.testing.assert_array_equal(np.asarray(pil), from_array)
    np.testing.assert_array_equal(up(Image(picture)).rgb, from_array)
    (tmp_path / "a.png").write_bytes(png(picture))
    path = up(tmp_path / "a.png")
    assert path == tmp_path / "a_x2.png"
    np.testing.assert_array_equal(decode(path.read_bytes())[0].rgb, from_array)
    with pytest.raises(OutputError, match="exists"):
        up(str(tmp_path / "a.png"))


def saved(pil: PIL.Image.Image, kind: str, frames: int) -> bytes:
    buffer = io.BytesIO()
    more = {"save_all": True, "append_images": [PIL.ImageOps.invert(pil)]} if frames > 1 else {}
    pil.save(buffer, kind, **more)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind", "frames", "result"),
    [
        ("RGB", "GIF", 1, ("PNG", 1, 3)),
        ("RGB", "GIF", 2, ("WEBP", 2, 3)),
        ("RGB", "BMP", 1, ("PNG", 1, 3)),
        ("RGB", "JPEG2000", 1, ("PNG", 1, 3)),
        ("RGB", "WEBP", 2, ("WEBP", 2, 3)),
        ("RGB", "PNG", 2, ("PNG", 2, 3)),
        ("RGB", "AVIF", 2, ("WEBP", 2, 3)),
        ("RGB", "TIFF", 2, ("TIFF", 1, 3)),
        ("RGB", "MPO", 2, ("JPEG", 1, 3)),
        ("CMYK", "JPEG", 1, ("JPEG", 1, 3)),
        ("CMYK", "TIFF", 1, ("TIFF", 1, 3)),
        ("LAB", "TIFF", 1, ("TIFF", 1, 3)),
        ("1", "PNG", 1, ("PNG", 1, 1)),
        ("1", "BMP", 1, ("PNG", 1, 1)),
        ("P", "PNG", 1, ("PNG", 1, 3)),
    ],
)
def test_what_becomes_of_a_file(
    fake_engine: type, mode: str, kind: str, frames: int, result: tuple[str, int, int]
) -> None:
    """The table of the README."""
    plain = PIL.Image.effect_noise((20, 16), 80).convert("RGB")
    pil = PIL.Image.new("LAB", (20, 16), (99, 9, 9)) if mode == "LAB" else plain.convert(mode)
    found = decode(Upscaler([fake_engine()])(saved(pil, kind, frames)))
    assert (found[0].format, len(found), found[0].rgb.shape[2]) == result


def test_array_kinds(up: Upscaler, picture: np.ndarray) -> None:
    grey = up(picture[..., 0])
    assert grey.shape == (70, 58)
    rgba = up(np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)]))
    np.testing.assert_array_equal(rgba[..., :3], up(picture))
    assert (rgba[..., 3] == 255).all()
    clear = np.arange(picture.shape[0] * picture.shape[1], dtype=np.uint8)
    veiled = np.dstack([picture[..., 0] // 2 + 60, clear.reshape(picture.shape[:2]) | 1])
    both = up(veiled)
    assert both.shape == (70, 58, 2)
    np.testing.assert_array_equal(both[..., 0], up(veiled[..., 0]))
    np.testing.assert_array_equal(both[..., 1], up(np.dstack([picture, veiled[..., 1]]))[..., 3])
    np.testing.assert_array_equal(up(picture[..., :1])[..., 0], grey)
    deep = up(picture.astype(np.uint16) * 257)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - up(picture)).max() < 1


def surrounded(picture: np.ndarray) -> np.ndarray:
    """What the network is to see of it, (H + 2 S, W + 2 S, C) float32."""
    sides = ((SURROUND, SURROUND), (SURROUND, SURROUND), (0, 0))
    return np.pad(picture, sides, "symmetric").astype(np.float32) / 255


def inside(output: np.ndarray, scale: int) -> np.ndarray:
    return output[SURROUND * scale : -SURROUND * scale, SURROUND * scale : -SURROUND * scale]


def test_the_network_sees_the_picture_mirrored_at_its_borders(
    up: Upscaler, picture: np.ndarray
) -> None:
    (output,) = up.engines[2].run([surrounded(picture)[None]])
    for tile in (768, 20):
        found = up(picture, Options(tile=tile)).astype(float)
        assert np.abs(found - np.clip(255 * inside(output[0], 2), 0, 255)).max() <= 0.51


def test_grey_goes_through_as_three_equal_channels(up: Upscaler, picture: np.ndarray) -> None:
    grey = picture[..., :1] // 3 + 80  # away from the ends, where colours would be clipped
    (coloured,) = up.engines[2].run([surrounded(np.repeat(grey, 3, axis=2))[None]])
    expected = 255 * inside(coloured[0], 2) @ [0.299, 0.587, 0.114]
    assert np.abs(up(Image(grey)).rgb[..., 0] - expected).max() <= 0.51


def test_grey_stored_in_colour_stays_neutral(up: Upscaler, picture: np.ndarray) -> None:
    grey = picture[..., :1]
    neutral = np.repeat(grey, 3, axis=2)
    expected = np.repeat(up(Image(grey)).rgb, 3, axis=2)
    np.testing.assert_array_equal(up(neutral), expected)
    added, view = up.residual(Image(neutral))
    assert added.shape == view.rgb.shape == (70, 58, 3)
    for shown in (added, view.rgb):
        assert (shown == shown[..., :1]).all()
    neutral[3, 3, 1] += 1  # one coloured pixel, between those of the coarse look
    result = up(neutral)
    assert (result != result[..., :1]).any()


@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_stay(fake_engine: type, value: int) -> None:
    x = np.full((9, 9, 3), value, np.uint8)
    assert (Upscaler([fake_engine()])(x) == value).all()


def test_tiled_equals_whole_within_one_level(up: Upscaler, picture: np.ndarray) -> None:
    tiled = up(picture, Options(tile=13, batch_pixels=400))
    assert np.abs(tiled.astype(int) - up(picture)).max() <= 1


def test_strength(up: Upscaler, picture: np.ndarray) -> None:
    full = up(picture).astype(float)
    none = up(picture, Options(strength=0, tile=20)).astype(float)
    half = up(picture, Options(strength=0.5, tile=20)).astype(float)
    bicubic = resize(picture.astype(np.float32), 70, 58)
    assert np.abs(none - np.clip(bicubic, 0, 255)).max() <= 0.51
    inside = (full > 0) & (full < 255) & (none > 0) & (none < 255)
    assert np.abs(half - (full + none) / 2)[inside].max() <= 1
    with pytest.raises(OptionError):
        Options(strength=1.5)


def test_no_network_runs_for_nothing(
    up: Upscaler, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(batches: object) -> None:
        raise AssertionError("it was run")

    monkeypatch.setattr(up.engines[2], "run", never)
    told: list[tuple[int, int]] = []
    for given in (picture, picture[..., 0], picture.astype(np.uint16) * 257):
        told.clear()
        plain = up(given, Options(strength=0, ensemble=8, tile=20), lambda *at: told.append(at))
        peak = np.iinfo(given.dtype).max
        bicubic = np.clip(resize(given.astype(np.float32), 70, 58), 0, peak)
        assert np.abs(plain - bicubic).max() <= peak / 255 / 2 + 0.01
        assert plain.shape == bicubic.shape
        assert told == [(i + 1, len(told)) for i in range(len(told))]
        assert told
    with pytest.raises(AssertionError, match="it was run"):
        up(picture, Options(strength=0.01))


def test_residual(up: Upscaler, picture: np.ndarray) -> None:
    added, view = up.residual(Image(picture))
    assert added.shape == (70, 58, 3)
    assert added.dtype == np.float32
    bicubic = resize(picture.astype(np.float32) / 255, 70, 58)
    rebuilt = np.clip(bicubic + added, 0, 1) * 255
    assert np.abs(rebuilt - up(picture)).max() <= 0.51
    expected = np.clip(127.5 + 255 * RESIDUAL_GAIN * added, 0, 255)
    assert np.abs(view.rgb - expected).max() <= 0.51
    for other in (picture, png(picture), PIL.Image.fromarray(picture)):
        np.testing.assert_array_equal(up.residual(other)[0], added)
    nothing, plain = Upscaler([up.engines[2]]).residual(Image(picture), Options(strength=0))
    assert np.abs(nothing).max() < 1e-5
    assert (np.abs(plain.rgb.astype(int) - 128) <= 1).all()


def test_what_alpha_hides_is_not_shown_as_added(up: Upscaler, picture: np.ndarray) -> None:
    alpha = np.zeros(picture.shape[:2], np.uint8)
    alpha[:, 15:] = 255
    added, view = up.residual(Image(picture, alpha))
    (result,), same = up.run_with_residual([Image(picture, alpha)], Options(scale=2))
    assert result.alpha is not None
    share = result.alpha[..., None] / 255
    expected = np.clip(127.5 + 255 * RESIDUAL_GAIN * added * share, 0, 255)
    assert np.abs(view.rgb - expected).max() <= 0.51
    assert np.array_equal(view.rgb, same.rgb)
    assert (np.abs(view.rgb[:, :20].astype(int) - 128) <= 1).all()


def test_no_dark_fringe(fake_engine: type) -> None:
    rgb = np.zeros((12, 12, 3), np.uint8)  # black where nothing is seen
    alpha = np.zeros((12, 12), np.uint8)
    rgb[3:9, 3:9], alpha[3:9, 3:9] = 255, 255
    large = Upscaler([fake_engine()])(Image(rgb, alpha))
    assert (large.rgb[large.alpha > 0] == 255).all()
    assert large.alpha[12, 12] == 255
    assert large.alpha[0, 0] == 0


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


def test_limit_is_read_from_the_header(fake_engine: type) -> None:
    data = png(np.zeros((100, 100, 3), np.uint8))[:60]  # the header, and no picture
    with pytest.raises(TooLargeError, match="limit"):
        Upscaler([fake_engine()]).upscale_bytes(data, Options(max_pixels=39_999))
    with pytest.raises(PictureError):
        Upscaler([fake_engine()]).upscale_bytes(data, Options(max_pixels=40_000))


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


@pytest.mark.parametrize("tile", [20, 33, 64])
def test_a_smaller_tile_bounds_every_batch(fake_engine: type, tile: int) -> None:
    engine = fake_engine()
    Upscaler([engine])(np.zeros((150, 130, 3), np.uint8), Options(tile=tile))
    assert max(n * h * w for n, h, w, _ in engine.shapes) <= tile * tile


def test_the_package_lists_what_it_has() -> None:
    assert {*srnet.__all__} <= {*dir(srnet)}
    assert all(hasattr(srnet, name) for name in dir(srnet))
