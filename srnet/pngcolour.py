"""ICC profiles made here: for what a PNG or AVIF says of colours in codes, and for grey in RGB.

Other formats have no cICP, gAMA or cHRM, and without them a picture has other colours. As a
profile they travel along, and are converted where a profile is (PNG, third edition, section
11.3.2; ICC.1:2010 for the profile, of matrix and curve).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

_White = tuple[float, float]
_Primaries = tuple[_White, _White, _White, _White]  # x and y of white, red, green, blue
_Curve = tuple[float, ...]  # of a parametric curve: the exponent, and a, b, c, d where linear below

_D65 = (0.3127, 0.329)
_SRGB: _Primaries = (_D65, (0.64, 0.33), (0.3, 0.6), (0.15, 0.06))
_PRIMARIES: dict[int, _Primaries] = {  # by their numbers in cICP, those of ITU-T H.273
    1: _SRGB,
    9: (_D65, (0.708, 0.292), (0.17, 0.797), (0.131, 0.046)),  # BT.2020
    12: (_D65, (0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),  # Display P3
}
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_VIDEO_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_CURVES: dict[int, _Curve] = {  # those of high dynamic range are no matter of a matrix
    **dict.fromkeys((1, 6, 14, 15), _VIDEO_CURVE),
    4: (2.2,),
    8: (1.0,),
    13: _SRGB_CURVE,
}
_USUAL_GAMMA, _USUAL_NEAR = 1 / 2.2, 0.01  # of a picture that is meant to have sRGB's curve
_USUAL_PRIMARIES = (1, 12)  # of the spaces with that curve; Adobe RGB has the gamma itself
_GAMMAS = (0.1, 10.0)  # others are mistakes
_NEAR = 0.002  # of coordinates
_MOST_TAGS = 100  # of a profile
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_Matrix = npt.NDArray[np.float64]


def settle(info: dict[Any, Any], chunks: Mapping[bytes, bytes], grey: bool) -> None:
    """Give Pillow's ``info`` of a PNG the profile that holds: cICP goes before a profile."""
    by_code = _coded(chunks) is not None
    if "icc_profile" in info and not by_code:
        return
    icc = profile(chunks, grey)
    if icc is not None:
        info["icc_profile"] = icc
    elif by_code:
        info.pop("icc_profile", None)  # it is sRGB


def of_info(info: Mapping[Any, Any], grey: bool) -> bytes | None:
    """The profile that Pillow's ``info`` of a PNG without one amounts to; it tells no cICP."""
    chunks = {b"sRGB": b""} if "srgb" in info else {}
    try:
        if "gamma" in info:
            chunks[b"gAMA"] = struct.pack(">I", round(info["gamma"] * 100_000))
        if "chromaticity" in info:
            chunks[b"cHRM"] = struct.pack(
                ">8I", *(round(n * 100_000) for n in info["chromaticity"])
            )
    except (TypeError, ValueError, struct.error):
        return None
    return profile(chunks, grey)


def profile(chunks: Mapping[bytes, bytes], grey: bool) -> bytes | None:
    """The profile that the contents of such chunks amount to; None if that is sRGB, or nothing."""
    try:
        told = _told(chunks)
        return None if told is None else _icc(told[0], _curve(told[1]), grey)
    except (struct.error, ValueError, np.linalg.LinAlgError):
        return None


def _told(chunks: Mapping[bytes, bytes]) -> tuple[_Primaries, _Curve] | None:
    if (code := _coded(chunks)) is not None:
        return None if code == (1, 13) else (_PRIMARIES[code[0]], _CURVES[code[1]])
    if b"sRGB" in chunks or b"gAMA" not in chunks:
        return None
    gamma = struct.unpack(">I", chunks[b"gAMA"])[0] / 100_000
    if not _GAMMAS[0] <= gamma <= _GAMMAS[1]:
        return None
    found = _SRGB
    if b"cHRM" in chunks:
        numbers = [n / 100_000 for n in struct.unpack(">8I", chunks[b"cHRM"])]
        white, red, green, blue = zip(numbers[::2], numbers[1::2], strict=True)
        found = (white, red, green, blue)
    usual = any(_near(found, _PRIMARIES[number]) for number in _USUAL_PRIMARIES)
    if not usual or abs(gamma - _USUAL_GAMMA) > _USUAL_NEAR:
        return found, (1 / gamma,)
    return None if _near(found, _SRGB) else (found, _SRGB_CURVE)


def _near(a: _Primaries, b: _Primaries) -> bool:
    return bool(np.abs(np.subtract(a, b)).max() <= _NEAR)


def for_three_channels(icc: bytes) -> bytes | None:
    """A profile of RGB in which equal channels are what grey is in this one; None if it is damaged.

    A profile of grey cannot stay where a format has only colour. Its curve can: along the greys
    of the space of sRGB it leads to the same lightness.
    """
    if icc[20:24] != b"XYZ ":
        return None  # curves to Lab are of another kind
    try:
        (count,) = struct.unpack_from(">I", icc, 128)
        for entry in range(132, 132 + 12 * min(count, _MOST_TAGS), 12):
            name, start, length = struct.unpack_from(">4sII", icc, entry)
            curve = icc[start : start + length]
            if name == b"kTRC" and curve[:4] in (b"curv", b"para") and len(curve) == length:
                return _icc(_SRGB, curve, grey=False)
    except struct.error:
        pass
    return None


def codes(chunks: Mapping[bytes, bytes]) -> tuple[int, int] | None:
    """The numbers of primaries and curve in cICP, known here or not."""
    body = chunks.get(b"cICP", b"")
    if len(body) != 4 or body[2:] != b"\0\1":  # RGB, of the whole range
        return None
    return body[0], body[1]


def _coded(chunks: Mapping[bytes, bytes]) -> tuple[int, int] | None:
    """The same, if both stand for a profile."""
    found = codes(chunks)
    return found if found and found[0] in _PRIMARIES and found[1] in _CURVES else None


def _icc(primaries: _Primaries, curve: bytes, grey: bool) -> bytes:
    matrix, adapted = _colorants(primaries)
    tags = {
        b"desc": _text("From the codes in a picture"),
        b"cprt": _text("No copyright"),
        b"wtpt": _xyz(_D50),
        b"chad": b"sf32" + bytes(4) + _fixed(adapted),
    }
    if grey:
        tags[b"kTRC"] = curve
    else:
        for name, column in zip((b"r", b"g", b"b"), matrix.T, strict=True):
            tags |= {name + b"XYZ": _xyz(column), name + b"TRC": curve}
    table, body, at = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", at + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(body), bytes(4), 0x04300000, b"mntr", *_space(grey))
    head += bytes(12) + b"acsp" + bytes(28) + _fixed(_D50)
    return head + bytes(128 - len(head)) + table + body


def _space(grey: bool) -> tuple[bytes, bytes]:
    return (b"GRAY" if grey else b"RGB "), b"XYZ "


def _colorants(primaries: _Primaries) -> tuple[_Matrix, _Matrix]:
    """Columns of XYZ for red, green and blue under D50, and what took the white there."""
    white, *rest = ([x / y, 1.0, (1 - x - y) / y] if y else [np.inf] * 3 for x, y in primaries)
    colours = np.array(rest).T
    if not np.isfinite([*white, *colours.ravel()]).all():
        raise ValueError("no colours")
    shares = np.linalg.solve(colours, white)
    ratio = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(ratio) @ _BRADFORD
    matrix = adapted @ (colours * shares)
    if max(np.abs(matrix).max(), np.abs(adapted).max()) > 4 or not (shares > 0).all():
        raise ValueError("no triangle around white")
    return matrix, adapted


def _fixed(values: npt.ArrayLike) -> bytes:
    numbers = np.rint(np.asarray(values, np.float64).ravel() * 65536)
    return numbers.astype(">i4").tobytes()


def _xyz(values: npt.ArrayLike) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(values)


def _curve(curve: _Curve) -> bytes:
    return b"para" + struct.pack(">IHH", 0, 0 if len(curve) == 1 else 3, 0) + _fixed(curve)


def _text(text: str) -> bytes:
    body = text.encode("utf-16-be")
    return b"mluc" + struct.pack(">IIIHHII", 0, 1, 12, 0x656E, 0x5553, len(body), 28) + body
