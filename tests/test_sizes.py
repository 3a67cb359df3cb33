"""Target sizes and the passes that lead to them."""

from __future__ import annotations

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srnet.errors import OptionError
from srnet.sizes import check_target, passes, target_size


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({"scale": 2}, (200, 300)),
        ({"scale": 1.5}, (150, 225)),
        ({"scale": 1.005}, (101, 151)),  # 100.5 and 150.75: half goes up
        ({"to_width": 450}, (300, 450)),
        ({"to_height": 250}, (250, 375)),
        ({"fit": (600, 600)}, (400, 600)),
        ({"fit": (900, 200)}, (200, 300)),
        ({"fit": (30, 30)}, (20, 30)),
    ],
)
def test_target_size(given_: dict, expected: tuple[int, int]) -> None:
    assert target_size(100, 150, **given_) == expected


@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 500), st.integers(1, 500))
def test_fit_fills_the_box_one_way(h: int, w: int, bw: int, bh: int) -> None:
    try:
        height, width = target_size(h, w, fit=(bw, bh))
    except OptionError:
        assert max(bh / h, bw / w) > 16
        return
    assert width == bw or height == bh
    assert width <= bw or width == 1
    assert height <= bh or height == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"scale": 0.5},
        {"scale": 17},
        {"scale": float("nan")},
        {"to_width": 0},
        {"fit": (0, 5)},
        {"scale": 2, "to_width": 9},
        {"to_width": 9, "to_height": 9},
    ],
)
def test_impossible_targets_are_refused(wrong: dict) -> None:
    with pytest.raises(OptionError):
        check_target(**wrong)


def test_targets_that_are_too_large_for_the_picture_are_refused() -> None:
    with pytest.raises(OptionError, match="more than 16 times the picture's 150 x 100"):
        target_size(100, 150, to_width=10**6)


@pytest.mark.parametrize(
    ("factor", "scales", "expected"),
    [
        (2, (2, 4), [2]),
        (1, (2, 4), [2]),
        (2.5, (2, 4), [4]),
        (3, (2, 3, 4), [3]),
        (8, (2, 4), [2, 4]),
        (16, (2, 4), [4, 4]),
        (9, (2, 3, 4), [3, 3]),
        (7, (2, 3, 4), [2, 4]),
        (16, (2,), [2, 2, 2, 2]),
        (0.9, (2, 4), []),
        (4.0000000001, (2, 4), [4]),
    ],
)
def test_passes(factor: float, scales: tuple[int, ...], expected: list[int]) -> None:
    assert passes(factor, scales) == expected


@given(st.floats(1, 16), st.sets(st.sampled_from([2, 3, 4]), min_size=1))
def test_passes_reach_the_factor(factor: float, scales: set[int]) -> None:
    chain = passes(factor, scales)
    assert prod(chain) >= factor - 1e-9
    assert set(chain) <= scales
