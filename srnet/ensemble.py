"""Geometric self-ensemble: a picture in several orientations, and the mean of the results.

A network errs differently on a picture and on the same picture turned; the mean errs less. As in
B. Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from srnet.engine import Engine, Pixels

# quarter turns, and whether rows are reversed before: the first two, four or eight are used
_ORIENTATIONS = [(turns, mirrored) for mirrored in (False, True) for turns in (0, 2, 1, 3)]


def averaged(
    engine: Engine, batches: Iterable[Pixels], count: int, tell: Callable[[], None]
) -> Iterator[Pixels]:
    """As ``engine.run``, but each result is the mean of those of ``count`` orientations.

    ``count`` is 1, 2, 4 or 8; ``tell`` is called after each run, that is so many times a batch.
    The device is free for others between two orientations.
    """
    results = engine.run(_turned(batch, number) for batch in batches for number in range(count))
    total: Pixels | None = None
    for index, result in enumerate(results):
        tell()
        if count == 1:
            yield result
            continue
        number = index % count
        upright = _upright(result, number)
        total = upright.copy() if total is None or number == 0 else np.add(total, upright, total)
        if number == count - 1:
            total *= np.float32(1 / count)
            yield total


def _turned(batch: Pixels, number: int) -> Pixels:
    """``(N, h, w, 3)`` in one of eight orientations, contiguous as engines want it."""
    turns, mirrored = _ORIENTATIONS[number]
    batch = batch[:, ::-1] if mirrored else batch
    return np.ascontiguousarray(np.rot90(batch, turns, (1, 2)))


def _upright(batch: Pixels, number: int) -> Pixels:
    """The inverse of :func:`_turned`, as a view."""
    turns, mirrored = _ORIENTATIONS[number]
    batch = np.rot90(batch, -turns, (1, 2))
    return batch[:, ::-1] if mirrored else batch
