"""Headers: which format the caller takes, and how the result is called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from srnet.image import FORMATS

_ENDING = re.compile(r"(?<=.)\.\w{0,10}$")


def acceptable(accept: str, natural: str) -> list[str]:
    """The formats of ``FORMATS`` that would do for an Accept header, best first.

    ``natural`` is the first unless another is named with a higher weight, so that ``*/*`` or
    ``image/*`` leave it, and so does a header that names no format we write. The others are
    what the header names itself: ``*/*`` asks for no change. Of equal weights, what is named
    first comes first.
    """
    weights = _weights(accept)
    order = list(weights)

    def weight(name: str) -> float:
        media = FORMATS[name].media_type
        return next((weights[m] for m in (media, "image/*", "*/*") if m in weights), 0.0)

    def place(name: str) -> int:
        media = FORMATS[name].media_type
        return order.index(media) if media in weights else len(order)

    formats = sorted(FORMATS, key=place)
    best = max(formats, key=weight)
    first = best if weight(best) > weight(natural) else natural
    named = [name for name in formats if name == natural or FORMATS[name].media_type in weights]
    others = [name for name in named if name != first and weight(name) > 0]
    return [first, *sorted(others, key=weight, reverse=True)]


def essence(accept: str) -> str:
    """What of an Accept header :func:`acceptable` heeds, which is short however long that is."""
    heeded = {"*/*", "image/*", *(known.media_type for known in FORMATS.values())}
    weights = _weights(accept).items()
    return ", ".join(f"{media};q={weight}" for media, weight in weights if media in heeded)


def _weights(accept: str) -> Mapping[str, float]:
    weights = {}
    for item in accept[:1000].split(","):
        media, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = min(1.0, max(0.0, float(parameter[2:])))
                except ValueError:
                    weight = 0.0
        weights[media] = weight
    return weights


def _disposition(name: str) -> str:
    """A Content-Disposition for the file ``name``, plain and, after RFC 5987, in full."""
    plain = "".join(c if c.isascii() and c not in '"\\%' else "_" for c in name)
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def result_name(name: str, ending: str) -> str:
    """``photo.jpg`` and ``_x4.png`` make ``photo_x4.png``."""
    return divided(name)[0] + ending


def divided(name: str) -> tuple[str, str]:
    """The stem of a file name, and its ending with the dot; what has blanks in it is no ending."""
    match = _ENDING.search(name)
    return (name[: match.start()], match[0]) if match else (name, "")


def picture_headers(
    name: str,
    model: str,
    origin: tuple[int, int],
    size: tuple[int, int],
    consistency_db: float | None,
    seconds: Mapping[str, float],
    *,
    rounded_to_8_bit: bool = False,
    pages_left_out: int = 0,
) -> dict[str, str]:
    """What is told beside the result ``name``; sizes are (width, height), ``seconds`` by stage."""
    timing = ", ".join(f"{stage};dur={1000 * spent:.1f}" for stage, spent in seconds.items())
    headers = {
        "Content-Disposition": _disposition(name),
        "Server-Timing": timing,
        "X-Model": quote(model),
        "X-Scale": f"{size[0] / origin[0]:.6g}",
        "X-Origin-Width": str(origin[0]),
        "X-Origin-Height": str(origin[1]),
        "X-Result-Width": str(size[0]),
        "X-Result-Height": str(size[1]),
    }
    if consistency_db is not None:
        headers["X-Consistency-DB"] = f"{consistency_db:.2f}"
    if rounded_to_8_bit:
        headers["X-Rounded-To-8-Bit"] = "1"
    if pages_left_out:
        headers["X-Pages-Left-Out"] = str(pages_left_out)
    return headers
