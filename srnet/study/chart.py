"""Line charts as SVG: on a light panel of their own, so that they read on any background."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 680, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 30, 78, 52  # margins
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#8f4f8b", "#a07800", "#555555")  # Okabe and Ito
_TEXT = "#222222"
_OFFSETS = (0, -13, 13, -26, 26, -39, 39, -52, 52)  # of a label from its point, downwards


@dataclass(frozen=True)
class Line:
    """``(x, mean, least, greatest)`` for each point; the last two are the spread over seeds.

    With ``labels``, one for each point, it is a cloud of named points and no line.
    """

    name: str
    points: Sequence[tuple[float, float, float, float]]
    dashed: bool = False
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class Axis:
    """Label and kind of an axis; without bounds it fits the points."""

    label: str
    log: bool = False
    low: float | None = None
    high: float | None = None
    ticks: Sequence[float] | None = None  # None: round numbers


def chart(title: str, x: Axis, y: Axis, lines: Sequence[Line]) -> str:
    """An SVG picture of some lines with their spread."""
    xs = [p[0] for line in lines for p in line.points]
    ys = [v for line in lines for p in line.points for v in p[1:]]
    across, x_ticks = _scale(x, xs, _LEFT, _WIDTH - _RIGHT, 0.0)
    up, y_ticks = _scale(y, ys, _HEIGHT - _BOTTOM, _TOP, 0.04)
    parts = [_panel(title), _grid(x, y, x_ticks, y_ticks, across, up)]
    for number, line in enumerate(lines):
        parts.append(_line(line, _COLOURS[number % len(_COLOURS)], across, up))
    parts += [_labels(lines, across, up), _legend(lines)]
    return "\n".join([*parts, "</svg>\n"])


def _panel(title: str) -> str:
    plot = (_LEFT, _TOP, _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" font-family="Helvetica, Arial, sans-serif" '
        f'font-size="13" fill="{_TEXT}" role="img">\n'
        f"<title>{escape(title)}</title>\n"
        '<clipPath id="plot"><rect x="{}" y="{}" width="{}" height="{}"/></clipPath>\n'.format(
            *plot
        )
        + f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="8" fill="#ffffff"/>\n'
        f'<text x="{_LEFT}" y="28" font-size="16" font-weight="bold">{escape(title)}</text>'
    )


Scale = Callable[[float], float]
Box = tuple[float, float, float, float]


def _scale(
    axis: Axis, values: Sequence[float], start: float, stop: float, margin: float
) -> tuple[Scale, list[float]]:
    """Where a value lies between two places of the picture, and the ticks."""
    forward = math.log10 if axis.log else float
    low = forward(min(values) if axis.low is None else axis.low)
    high = forward(max(values) if axis.high is None else axis.high)
    room = (high - low or 1.0) * margin
    low = low - room if axis.low is None else low
    high = high + room if axis.high is None else high
    span = high - low or 1.0

    def place(value: float) -> float:
        share = (forward(value) - low) / span if value > 0 or not axis.log else 0.0
        return start + (stop - start) * share

    if axis.ticks is not None:
        return place, list(axis.ticks)
    return place, _log_ticks(low, high) if axis.log else _ticks(low, high)


def _ticks(low: float, high: float) -> list[float]:
    """About six round numbers from ``low`` to ``high``."""
    rough = (high - low or 1.0) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten, or powers alone over many decades."""
    steps = (1.0, 2.0, 5.0) if high - low < 2 else (1.0,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    found = [s * 10.0**p for p in powers for s in steps]
    return [t for t in found if low - 1e-9 <= math.log10(t) <= high + 1e-9]


def _grid(
    x: Axis, y: Axis, x_ticks: list[float], y_ticks: list[float], across: Scale, up: Scale
) -> str:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = ['<g stroke="#dddddd">']
    parts += [f'<path d="M{_LEFT} {up(t):.1f}H{right}"/>' for t in y_ticks]
    parts.append(f'<path d="M{_LEFT} {bottom}H{right}" stroke="#666666"/></g>')
    parts += [
        f'<text x="{_LEFT - 8}" y="{up(t) + 4:.1f}" text-anchor="end">{_number(t)}</text>'
        for t in y_ticks
    ]
    parts += [
        f'<text x="{across(t):.1f}" y="{bottom + 18}" text-anchor="middle">{_number(t)}</text>'
        for t in x_ticks
    ]
    middle = (_TOP + bottom) / 2
    parts.append(
        f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 12}" text-anchor="middle">'
        f"{escape(x.label)}</text>"
        f'<text transform="translate(18 {middle}) rotate(-90)" text-anchor="middle">'
        f"{escape(y.label)}</text>"
    )
    return "\n".join(parts)


def _number(value: float) -> str:
    if 0 < value < 0.001:
        return f'10<tspan dy="-5" font-size="10">{_number(round(math.log10(value)))}</tspan>'
    return f"{value:,.10g}".replace(",", " ").replace("-", "−")


def _line(line: Line, colour: str, across: Scale, up: Scale) -> str:
    top = [f"{across(x):.1f} {up(high):.1f}" for x, _, _, high in line.points]
    low = [f"{across(x):.1f} {up(low):.1f}" for x, _, low, _ in reversed(line.points)]
    way = [f"{across(x):.1f} {up(mean):.1f}" for x, mean, _, _ in line.points]
    dash = ' stroke-dasharray="6 4"' if line.dashed else ""
    dots = [f"<circle cx='{p.split()[0]}' cy='{p.split()[1]}' r='2.6'/>" for p in way]
    if line.labels:
        return f'<g fill="{colour}">{"".join(dots)}</g>'
    return (
        f'<g clip-path="url(#plot)"><path d="M{"L".join(top + low)}Z" fill="{colour}" '
        f'fill-opacity="0.18"/><path d="M{"L".join(way)}" fill="none" stroke="{colour}" '
        f'stroke-width="2"{dash}/>'
        + (f'<g fill="{colour}">{"".join(dots)}</g>' if len(way) <= 15 else "")
        + "</g>"
    )


def _labels(lines: Sequence[Line], across: Scale, up: Scale) -> str:
    """The name of each point that has one, beside it where there is room, else further away."""
    dots = [(across(x), up(y)) for line in lines if line.labels for x, y, _, _ in line.points]
    taken = [(x - 3, y - 3, x + 3, y + 3) for x, y in dots]
    parts = []
    for label, (x, y) in zip((label for line in lines for label in line.labels), dots, strict=True):
        places = [_box(label, x, y + dy, side) for dy in _OFFSETS for side in (1, -1)]
        inside = [b for b in places if b[0] >= _LEFT and b[2] <= _WIDTH]
        free = [b for b in inside if not any(_overlap(b, other) for other in taken)]
        left, top, right, bottom = (free or inside or places)[0]
        taken.append((left, top, right, bottom))
        if not top < y < bottom:
            near = left if left > x else right
            parts.append(f'<path d="M{x:.1f} {y:.1f}L{near:.1f} {top + 6:.1f}" stroke="#bbbbbb"/>')
        parts.append(
            f'<text x="{left:.1f}" y="{bottom - 2:.1f}" font-size="11" stroke="#ffffff" '
            f'stroke-width="3" paint-order="stroke">{escape(label)}</text>'
        )
    return "\n".join(parts)


def _box(label: str, x: float, y: float, side: int) -> Box:
    """Left, top, right, bottom of a label right (1) or left (-1) of a point."""
    length = 5.8 * len(label)
    left = x + 7 if side > 0 else x - 7 - length
    return left, y - 6, left + length, y + 6


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _legend(lines: Sequence[Line]) -> str:
    parts, x, y = [], _LEFT, 50
    for number, line in enumerate(lines):
        length = 42 + 7 * len(line.name)
        if x + length > _WIDTH:
            x, y = _LEFT, y + 18
        colour = _COLOURS[number % len(_COLOURS)]
        dash = ' stroke-dasharray="6 4"' if line.dashed else ""
        parts.append(
            f'<path d="M{x} {y - 4}h22" stroke="{colour}" stroke-width="3"{dash}/>'
            f'<text x="{x + 28}" y="{y}">{escape(line.name)}</text>'
        )
        x += length
    return "\n".join(parts)
