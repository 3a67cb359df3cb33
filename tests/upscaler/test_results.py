"""What `Upscaler` gives for files, pictures and arrays."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

from srnet.bicubic import resize
from srnet.enlarge import RESIDUAL_GAIN, SURROUND
from srnet.errors import OptionError, OutputError
from srnet.image import Image, decode
from srnet.options import Options
from srnet.upscaler import Upscaler
from tests.upscaler.support import png


def test_same_kind_comes_back(up: Upscaler, picture: np.ndarray, tmp_path: Path) -> None:
    from_array = up(picture)
    assert from_array.shape == (70, 58, 3)
    np.testing.assert_array_equal(decode(up(png(picture)))[0].rgb, from_array)
    assert up(bytearray(png(picture))) == bytearray(up(png(picture)))
    np.testing.assert_array_equal(
        up.residual(bytearray(png(picture)))[0], up.residual(picture)[0], strict=True
    )
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
    """The table of the page on files."""
    plain = PIL.Image.effect_noise((20, 16), 80).convert("RGB")
    pil = PIL.Image.new("LAB", (20, 16), (99, 9, 9)) if mode == "LAB" else plain.convert(mode)
    found = decode(Upscaler([fake_engine()])(saved(pil, kind, frames)))
    assert (found[0].format, len(found), found[0].rgb.shape[2]) == result


def test_array_kinds(up: Upscaler, picture: np.ndarray) -> None:
    deep = picture.astype(np.uint16) * 257
    np.testing.assert_array_equal(up(deep.astype(">u2")), up(deep))
    grey = up(picture[..., 0])
    assert grey.shape == (70, 58)
    rgba = up(np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)]))
    np.testing.assert_array_equal(rgba[..., :3], up(picture))
    assert (rgba[..., 3] == 255).all()
    clear = np.arange(picture.shape[0] * picture.shape[1], dtype=np.uint8)
    veiled = np.dstack([picture[..., 0] // 2 + 60, clear.reshape(picture.shape[:2]) | 8])
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


@pytest.mark.parametrize("scale", [1, 1.5, 5])
def test_at_strength_0_every_size_is_bicubic(up: Upscaler, picture: np.ndarray, scale) -> None:
    options = Options(scale=scale, strength=0)
    found = up(picture, options)
    bicubic = resize(picture.astype(np.float32), *found.shape[:2])
    assert np.abs(found - np.clip(bicubic, 0, 255)).max() <= 0.51
    added, _ = up.residual(Image(picture), options)
    assert np.abs(added).max() <= 1.01 / 255 / 2  # where it is clipped, more was never there
    assert up.plan(35, 29, options) == []


@pytest.mark.parametrize("cut", [np.s_[:], np.s_[..., :1], np.s_[..., 0]])
def test_a_result_is_never_the_input_itself(up: Upscaler, picture: np.ndarray, cut) -> None:
    given = picture[cut]
    result = up(given, Options(scale=1, strength=0))
    np.testing.assert_array_equal(result, given, strict=True)
    assert not np.may_share_memory(result, given)


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


def test_the_residual_is_what_was_added_at_sizes_between_those_of_the_networks_too(
    up: Upscaler, rng: np.random.Generator
) -> None:
    noise = rng.integers(0, 256, (20, 30, 3), np.uint8)  # bicubic overshoots, and is cut off
    added, _ = up.residual(noise, Options(scale=1.5))
    rebuilt = np.clip(resize(noise.astype(np.float32) / 255, 30, 45) + added, 0, 1) * 255
    assert np.abs(rebuilt - up(noise, Options(scale=1.5))).max() <= 1.01


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
