"""Is one picture, or a part of it, also in another? Perceptual hash and matched features.

Two tests, because each misses what the other finds. A 64-bit perceptual hash (the signs of the
lowest frequencies of a 32 x 32 thumbnail, after Zauner, "Implementation and benchmarking of
perceptual image hash functions", 2010) finds whole pictures, also smooth ones. SIFT features
(Lowe, "Distinctive image features from scale-invariant keypoints", 2004; square roots after
Arandjelovic and Zisserman, 2012) that agree on one similarity transform find parts: crops,
resized, turned, compressed ones. Both are done on the
picture and on its mirror image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

HASH_BITS = 8  # of 64 that may differ; unrelated pictures differ in about 32
MATCHES = 8  # features that agree; unrelated pictures reach about 4
_FEATURES = 1400
_RATIO = 0.8  # a match must be so much nearer than the second best (Lowe)
_TOLERANCE = 3.0  # pixels
_EDGE = 640  # larger pictures are shrunk to this before features are looked for


@dataclass(frozen=True)
class Print:
    """What is kept of a picture for comparisons."""

    name: str
    hash: npt.NDArray[np.bool_]  # (64,)
    places: npt.NDArray[np.float32]  # (n, 2)
    features: npt.NDArray[np.float32]  # (n, 128), of length 1


@dataclass(frozen=True)
class Alike:
    """Two pictures that show the same: bits that differ, features that agree."""

    a: str
    b: str
    bits: int
    matches: int


def fingerprint(name: str, rgb: Pixels) -> Print:
    """The print of an ``(H, W, 3)`` picture."""
    grey = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY)
    shrink = min(1.0, _EDGE / max(grey.shape))
    small = cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    finder: Any = cv2.SIFT_create(_FEATURES)  # type: ignore[attr-defined]
    points, found = finder.detectAndCompute(small, None)
    found = np.zeros((0, 128), np.float32) if found is None else found
    features = np.sqrt(found / np.maximum(found.sum(axis=1, keepdims=True), 1e-6))
    places = np.array([p.pt for p in points], np.float32).reshape(-1, 2)
    return Print(name, perceptual_hash(grey), places, features)


def perceptual_hash(grey: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """64 bits of an ``(H, W)`` picture: which low frequencies are above their median."""
    thumbnail = cv2.resize(grey.astype(np.float32), (32, 32), interpolation=cv2.INTER_AREA)
    low = np.asarray(cv2.dct(thumbnail), np.float32)[:8, :8].ravel()
    return np.asarray(low > np.median(low[1:]))  # without the mean brightness


def alike(known: Iterable[tuple[str, Pixels]], others: Iterable[Print]) -> Iterator[Alike]:
    """Every one of ``others`` that shows what a known picture or its mirror image shows."""
    prints = [
        fingerprint(name, view)
        for name, rgb in known
        for view in (rgb, np.ascontiguousarray(rgb[:, ::-1]))
    ]
    for other in others:
        for mine in prints:
            bits = int(np.count_nonzero(mine.hash != other.hash))
            matches = agreeing(mine, other)
            if bits <= HASH_BITS or matches >= MATCHES:
                yield Alike(mine.name, other.name, bits, matches)


def agreeing(a: Print, b: Print) -> int:
    """How many features of two prints agree on one shift, turn and scale (0.1 to 10)."""
    if len(a.features) > len(b.features):
        a, b = b, a  # from the part to the whole: the other way most features have no partner
    if len(a.features) < 2:
        return 0
    alikeness = a.features @ b.features.T  # cosines
    best = alikeness.argmax(axis=1)
    rows = np.arange(len(best))
    nearest = alikeness[rows, best]
    alikeness[rows, best] = -1
    # distances of unit vectors are sqrt(2 - 2 cosine)
    good = 1 - nearest < _RATIO**2 * (1 - alikeness.max(axis=1))
    if np.count_nonzero(good) < MATCHES:
        return 0
    here, there = a.places[good], b.places[best[good]]
    cv2.setRNGSeed(0)
    transform, inside = cv2.estimateAffinePartial2D(
        here, there, ransacReprojThreshold=_TOLERANCE, maxIters=1000
    )
    if transform is None or not 0.1 < float(np.hypot(*transform[0, :2])) < 10:
        return 0
    # several matches may fall on one place, as in a fine regular texture: count places
    spots = np.unique(there[inside.ravel() > 0].round(), axis=0)
    return len(spots)
