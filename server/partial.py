"""Parts of what does not change: ranges of bytes, and what the caller has already (RFC 9110)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)", re.ASCII | re.I)  # several are not worth it


@dataclass(frozen=True)
class Part:
    """Bytes ``start`` to ``end``, without the latter, of what has an entity tag and a size."""

    tag: str  # with its quotes
    size: int
    status: int  # 200 whole, 206 in part, 304 is there already
    start: int
    end: int

    @classmethod
    def asked(
        cls,
        tag: str,
        size: int,
        span: str | None = None,
        if_range: str | None = None,
        if_none_match: str | None = None,
    ) -> Part:
        """What the headers of a request ask for; a range that cannot be given asks for all."""
        if names(if_none_match or "", tag):
            return cls(tag, size, 304, 0, 0)
        if if_range in (None, tag):
            start, end = _span(span or "", size)
            if start < end:
                return cls(tag, size, 206, start, end)
        return cls(tag, size, 200, 0, size)

    @property
    def headers(self) -> dict[str, str]:
        """Of the answer."""
        told = {"ETag": self.tag, "Accept-Ranges": "bytes"}
        if self.status == 206:
            told["Content-Range"] = f"bytes {self.start}-{self.end - 1}/{self.size}"
        if self.status != 304:
            told["Content-Length"] = str(self.end - self.start)
        return told


def names(listed: str, tag: str) -> bool:
    """Whether an If-None-Match header names an entity tag."""
    return any(one.strip().removeprefix("W/") in (tag, "*") for one in listed[:1000].split(","))


def _span(text: str, size: int) -> tuple[int, int]:
    match = _RANGE.fullmatch(text.strip()) if len(text) < 100 else None
    first, last = match.groups() if match else ("", "")
    if first:
        return int(first), min(int(last) + 1, size) if last else size
    return (max(0, size - int(last)), size) if last else (0, 0)
