"""No benchmark picture is in the training set, and the method would have found it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from srnet import degrade
from srnet.data import find_pictures, read_rgb8
from srnet.likeness import MATCHES, Alike, Print, alike, fingerprint

FOLDERS = [os.environ.get(name) for name in ("SRNET_TRAIN", "SRNET_BENCH")]


def scene(seed: int, size: int = 320) -> np.ndarray:
    """Ellipses and lines over a smooth ground, all at random."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(60, 200, (5, 5, 3)).astype(np.uint8)
    picture = cv2.resize(ground, (size, size), interpolation=cv2.INTER_CUBIC)
    for _ in range(120):
        colour = [int(c) for c in rng.integers(0, 256, 3)]
        a, b = (tuple(int(v) for v in rng.integers(0, size, 2)) for _ in range(2))
        if rng.random() < 0.5:
            axes = tuple(int(v) for v in rng.integers(3, 30, 2))
            cv2.ellipse(picture, a, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
        else:
            cv2.line(picture, a, b, colour, int(rng.integers(1, 4)), cv2.LINE_AA)
    return picture


def changed(picture: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """What could have become of a picture on its way into a training set."""
    height, width = picture.shape[:2]
    yield "jpeg", degrade.jpeg(picture, 50)
    yield "mirror", picture[:, ::-1]
    yield "turned", np.rot90(picture)
    yield "half the size", resized(picture, 0.5)
    yield "larger", resized(picture, 1.5)
    part = picture[height // 4 : height // 4 * 3, width // 4 : width // 4 * 3]
    yield "part", part
    yield "mirrored part", part[:, ::-1]
    yield "enlarged part", resized(part, 2)


def resized(picture: np.ndarray, factor: float) -> np.ndarray:
    kind = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=kind)


def missed(known: list[tuple[str, np.ndarray]]) -> list[str]:
    """The changed pictures in which their originals were not recognised."""
    wrong = []
    for name, picture in known:
        prints = [fingerprint(what, np.ascontiguousarray(v)) for what, v in changed(picture)]
        found = {pair.b for pair in alike([(name, picture)], prints)}
        wrong += [f"{name}: {p.name}" for p in prints if p.name not in found]
    return wrong


def test_crops_flips_and_resizes_are_recognised() -> None:
    assert missed([("scene", scene(0))]) == []


def test_other_pictures_are_not() -> None:
    others = [fingerprint(str(seed), scene(seed)) for seed in (1, 2, 3)]
    flat = np.full((64, 64, 3), 128, np.uint8)  # no features at all
    assert list(alike([("scene", scene(0)), ("flat", flat)], others)) == []


def test_a_smooth_picture_is_recognised_by_its_hash() -> None:
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 256, (4, 4, 3)).astype(np.uint8)
    smooth = cv2.resize(ground, (256, 256), interpolation=cv2.INTER_CUBIC)
    (pair,) = {p.bits: p for p in alike([("a", smooth)], [fingerprint("b", resized(smooth, 0.4))])}
    assert pair <= 2


@pytest.fixture(scope="module")
def benchmarks() -> list[tuple[str, np.ndarray]]:
    if None in FOLDERS:
        pytest.skip("SRNET_TRAIN and SRNET_BENCH do not say where the pictures are")
    files = [f for f in find_pictures(Path(str(FOLDERS[1]))) if f.parent.name == "HR"]
    assert files, "SRNET_BENCH must hold <name>/HR/"
    return [(f"{f.parent.parent.name}/{f.stem}", read_rgb8(f)) for f in files]


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_no_benchmark_picture_is_in_the_training_set(
    benchmarks: list[tuple[str, np.ndarray]],
) -> None:
    def one(file: Path) -> Print:
        return fingerprint(file.name, read_rgb8(file))

    with ThreadPoolExecutor(2) as pool:
        prints = list(pool.map(one, find_pictures(Path(str(FOLDERS[0])))))
    found: list[Alike] = list(alike(benchmarks, prints))
    assert found == []


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_benchmark_picture_would_have_been_found(
    benchmarks: list[tuple[str, np.ndarray]],
) -> None:
    assert missed(benchmarks) == []
    assert MATCHES > 4  # the most that unrelated pictures reached
