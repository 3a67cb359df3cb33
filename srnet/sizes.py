"""How large the result is, and which passes of a network lead there."""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations_with_replacement
from math import floor, prod

from srnet.errors import OptionError

MAX_SCALE = 16.0


def check_target(
    scale: float | None = None,
    to_width: int | None = None,
    to_height: int | None = None,
    fit: tuple[int, int] | None = None,
) -> None:
    """Refuse, before any picture is known, what :func:`target_size` can use for none.

    Raises:
        OptionError: none or several of the four given, or one out of range.
    """
    if fit is not None and len(fit) != 2:
        raise OptionError(f"fit is a box of width and height, two numbers, not {len(fit)}")
    ways = [way for way in (scale, to_width, to_height, fit) if way is not None]
    if len(ways) != 1:
        raise OptionError("give one of scale, width, height or fit, and only one")
    if scale is not None and not 1 <= scale <= MAX_SCALE:  # also refuses NaN
        raise OptionError(f"scale must be from 1 to {MAX_SCALE:g}, not {scale:g}")
    sides = [to_width, to_height, *(fit or ())]
    if any(side is not None and side < 1 for side in sides):
        raise OptionError("a target size must be at least 1 pixel")


def target_size(
    height: int,
    width: int,
    scale: float | None = None,
    to_width: int | None = None,
    to_height: int | None = None,
    fit: tuple[int, int] | None = None,
) -> tuple[int, int]:
    """Height and width of the result, in pixels; exactly one of the four ways is given.

    ``scale`` is a factor from 1 to 16; ``to_width`` or ``to_height`` fixes one side; ``fit``
    is the box ``(width, height)`` that the result fills one way without passing it. The
    aspect ratio is kept, and sizes are rounded half up, to at least one pixel. What
    :func:`check_target` would refuse is not looked for again.

    Raises:
        OptionError: the target is too large for this picture.
    """
    if scale is not None:
        return _round(height * scale), _round(width * scale)
    if fit is not None:
        by_width = fit[0] * height <= fit[1] * width  # the width is what limits
        to_width, to_height = (fit[0], None) if by_width else (None, fit[1])
    if to_width is not None:
        size = _round(height * to_width / width), to_width
    else:
        assert to_height is not None
        size = to_height, _round(width * to_height / height)
    if size[0] > MAX_SCALE * height or size[1] > MAX_SCALE * width:
        raise OptionError(
            f"{size[1]} x {size[0]} is more than {MAX_SCALE:g} times the picture's "
            f"{width} x {height} pixels: choose a smaller target"
        )
    return size


def _round(x: float) -> int:
    return max(1, floor(x + 0.5 + 1e-9))  # 100 * 1.005 is a hair under 100.5


def passes(factor: float, scales: Collection[int]) -> list[int]:
    """Which model scales to run, one after the other, to reach ``factor``.

    The smallest product that reaches it, with the fewest passes, smaller scales first (the
    cheaper order). A factor under 1 needs none; from 1 up there is at least one pass.
    """
    if factor < 1:
        return []
    longest = 1
    while min(scales) ** longest < factor - 1e-9:
        longest += 1
    choices: list[tuple[int, ...]] = [
        chain
        for count in range(1, longest + 1)
        for chain in combinations_with_replacement(sorted(scales), count)
        if prod(chain) >= factor - 1e-9
    ]
    best = min((prod(chain), len(chain), chain) for chain in choices)
    return list(best[2])
