"""The files that the page is made of: few and small, so they are read once and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from fastapi.responses import Response

from server.partial import names

WEB = Path(__file__).parent / "web"
_TYPES: Mapping[str, str] = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


class _File:
    def __init__(self, path: Path) -> None:
        self.content = path.read_bytes()
        self.media_type = _TYPES[path.suffix]  # the text ones get their charset from Starlette
        self.tag = f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


_FILES = {path.name: _File(path) for path in sorted(WEB.iterdir()) if path.suffix in _TYPES}
NAMES = tuple(_FILES)


def file(name: str, known: str | None) -> Response:
    """One of ``NAMES``; 304 where ``known``, an If-None-Match header, has what there is."""
    found = _FILES[name]
    headers = {"ETag": found.tag, "Cache-Control": "no-cache"}
    if names(known or "", found.tag):
        return Response(None, 304, headers)
    return Response(found.content, 200, headers, found.media_type)
