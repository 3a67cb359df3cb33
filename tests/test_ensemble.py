"""Averaging over orientations: which, exactly, and what it makes of the order of things."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import srnet
from srnet.errors import Cancelled, OptionError
from srnet.image import Image
from srnet.options import Options
from srnet.upscaler import Upscaler


@pytest.fixture
def up(tiny_weights: dict[int, Path]) -> Upscaler:
    return srnet.load(str(tiny_weights[2]), device="cpu", precision="float32")


@pytest.fixture
def picture(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 65536, (23, 17, 3), dtype=np.uint16)  # 16 bit: rounding hides nothing


def turned(picture: np.ndarray, number: int) -> np.ndarray:
    """In one of the eight orientations, in an order of this test's own."""
    picture = np.swapaxes(picture, 0, 1) if number & 4 else picture
    return picture[:: -1 if number & 2 else 1, :: -1 if number & 1 else 1]


def upright(picture: np.ndarray, number: int) -> np.ndarray:
    picture = picture[:: -1 if number & 2 else 1, :: -1 if number & 1 else 1]
    return np.swapaxes(picture, 0, 1) if number & 4 else picture


def test_eight_orientations_are_the_mean_of_eight_runs(up: Upscaler, picture: np.ndarray) -> None:
    runs = [upright(up(turned(picture, n)), n).astype(float) for n in range(8)]
    assert np.ptp(runs, axis=0).max() > 20  # or nothing would be averaged
    together = up(picture, Options(ensemble=8)).astype(float)
    inside = (np.min(runs, axis=0) > 0) & (np.max(runs, axis=0) < 65535)  # none was cut off
    assert inside.mean() > 0.5
    assert np.abs(together - np.mean(runs, axis=0))[inside].max() < 1.5


@pytest.mark.parametrize(("count", "same"), [(2, [0, 3]), (4, [0, 3, 5, 6]), (8, range(8))])
def test_a_turned_picture_gives_the_turned_result(
    up: Upscaler, picture: np.ndarray, count: int, same: list[int]
) -> None:
    result = up(picture, Options(ensemble=count)).astype(int)
    for number in range(8):
        other = upright(up(turned(picture, number), Options(ensemble=count)), number)
        assert (np.abs(result - other).max() <= 1) == (number in same)


def test_so_does_one_of_a_size_between(up: Upscaler, picture: np.ndarray) -> None:
    picture = (picture // 257).astype(np.uint8)
    options = Options(scale=1.7, ensemble=8)
    result = up(picture, options).astype(int)
    for number in range(8):
        other = upright(up(turned(picture, number), options), number)
        assert np.abs(result - other).max() <= 1


def test_tiles_batches_strength_and_residual_go_with_it(up: Upscaler, picture: np.ndarray) -> None:
    whole = up(picture, Options(ensemble=8)).astype(int)
    tiled = up(picture, Options(ensemble=8, tile=13, batch_pixels=400)).astype(int)
    assert np.abs(whole - tiled).max() <= 1
    plain = up(picture, Options(strength=0)).astype(int)
    assert np.abs(up(picture, Options(strength=0, ensemble=8)).astype(int) - plain).max() <= 1
    added, _ = up.residual(Image(picture), Options(ensemble=8))
    one, _ = up.residual(Image(picture))
    assert 0 < np.abs(added - one).max() < np.abs(one).max()


def test_progress_counts_runs_and_stops_between_them(up: Upscaler, picture: np.ndarray) -> None:
    told: list[tuple[int, int]] = []
    up(picture, Options(ensemble=4, tile=13), lambda done, total: told.append((done, total)))
    assert told == [(i + 1, told[0][1]) for i in range(told[0][1])]
    assert len(told) % 4 == 0

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        up(picture, Options(ensemble=8), stop)
    assert up(picture).shape == (46, 34, 3)  # the engine is free again


@pytest.mark.parametrize("count", [0, 3, 16, 2.0, True, None, "2"])
def test_other_counts_are_refused(count: object) -> None:
    with pytest.raises(OptionError, match="ensemble must be 1, 2, 4 or 8"):
        Options(ensemble=count)  # type: ignore[arg-type]
