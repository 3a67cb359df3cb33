"""Pictures of several frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import PIL.Image
import pytest

from srnet.image import (
    decode,
    encode,
    read_header,
)
from tests.image.support import frames_of, pillow, slope


@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("name", ["png", "webp"])
def test_animations_keep_frames_durations_and_loop(name, bands):
    frames = frames_of(3, bands)
    data = encode(frames, name, lossless=name == "webp")
    found = decode(data)
    assert [(f.duration, f.loop) for f in found] == [(40, 3), (50, 3), (60, 3)]
    for frame, wanted in zip(found, frames, strict=True):
        shown = wanted.rgb if wanted.alpha is None else wanted.rgb[wanted.alpha > 0]
        got = frame.rgb if wanted.alpha is None else frame.rgb[wanted.alpha > 0]
        assert np.array_equal(got, shown)
        if wanted.alpha is not None:
            assert np.array_equal(frame.alpha, wanted.alpha)
    assert read_header(data, "x").frames == 3


@pytest.mark.parametrize(
    ("wanted", "held"),
    [
        ((100, 65_535), (100, 65_535)),
        ((33, 70_001), (33, 70_000)),
        ((33, 655_350), (33, 655_350)),
        ((33, 16_777_215), (33, 16_777_000)),  # the most of a WebP
        ((33, 10**9), (33, 65_535_000)),
    ],
)
def test_a_png_holds_long_times(wanted, held):
    frames = [replace(f, duration=d) for f, d in zip(frames_of(2), wanted, strict=True)]
    assert tuple(f.duration for f in decode(encode(frames, "png"))) == held


def test_avif_sequences():
    frames = [replace(slope(32, 32, 3), duration=100 * (i + 1), loop=0) for i in range(3)]
    found = decode(encode(frames, "avif"))
    assert [f.duration for f in found] == [100, 200, 300]
    assert np.abs(found[2].rgb.astype(int) - frames[2].rgb).mean() < 3


def test_gif_frames_are_composed():
    first = PIL.Image.new("RGB", (8, 8), (200, 0, 0))
    second = first.copy()
    second.paste((0, 0, 200), (2, 2, 5, 5))
    data = pillow(first, "GIF", save_all=True, append_images=[second], duration=[70, 90], loop=0)
    found = decode(data)
    assert [f.duration for f in found] == [70, 90]
    assert found[0].loop == 0
    assert np.array_equal(found[0].rgb, np.asarray(first))
    assert np.array_equal(found[1].rgb, np.asarray(second))
    assert {f.rgb.shape for f in found} == {(8, 8, 3)}
    still = decode(pillow(first, "GIF"))[0]
    assert (still.loop, still.duration) == (None, 0)


def test_grey_gif_frames_are_alike():
    frames = [PIL.Image.new("L", (8, 8), value) for value in (10, 200)]
    found = decode(pillow(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50))
    assert len({(f.rgb.shape, f.alpha is None) for f in found}) == 1
    assert [int(f.rgb[0, 0, 0]) for f in found] == [10, 200]


def test_an_apng_cover_is_no_frame():
    cover, *rest = (PIL.Image.new("RGB", (6, 6), (v, v, v)) for v in (1, 50, 100))
    data = pillow(cover, "PNG", save_all=True, append_images=rest, default_image=True, duration=20)
    assert [int(f.rgb[0, 0, 0]) for f in decode(data)] == [50, 100]


@pytest.mark.parametrize(("said", "plays"), [(None, 1), (0, 0), (1, 2), (3, 4), (65_535, 65_535)])
def test_a_gif_says_how_often_it_is_repeated(said, plays):
    first, second = (PIL.Image.new("L", (5, 4), level) for level in (0, 200))
    loop = {} if said is None else {"loop": said}
    frames = decode(pillow(first, "GIF", save_all=True, append_images=[second], **loop))
    assert frames[0].loop == plays
    assert decode(encode(frames, "webp"))[0].loop == plays
