"""Rows of results that survive an interruption: one line of JSON for each that is done."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from srnet.errors import DataError

Row = dict[str, Any]


class Ledger:
    """A file of finished rows; what is in it is not computed again.

    A row is known by its key (question, variant, seed, every setting, and a hash of the pictures
    it was measured on), so rows of other settings and pictures can lie in the same file and are
    left alone.
    """

    def __init__(self, path: Path, report: Callable[[str], None] = lambda _: None) -> None:
        self.path = path
        self.report = report
        self.rows: list[Row] = []  # those asked for, in order
        self._known = _read(path)

    def row(self, key: Row, make: Callable[[], Row]) -> Row:
        """The row of a key: from the file, or from ``make``, whose result is appended."""
        name = json.dumps(key, sort_keys=True)
        if name not in self._known:
            result = make()
            self._known[name] = json.loads(json.dumps(result))
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "result": result}) + "\n")
            self.report(f"{_short(key)}: {_short(result)}")
        found = {**key, **self._known[name]}
        self.rows.append(found)
        return found


def _read(path: Path) -> dict[str, Row]:
    known: dict[str, Row] = {}
    if not path.exists():
        return known
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{path} cannot be read as rows of a study ({reason}): move it away, or choose "
            "another --work"
        ) from error
    whole = text[: text.rfind("\n") + 1]
    if whole != text:  # cut off while a row was written: that one is made again
        path.write_text(whole, encoding="utf-8")
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            entry = json.loads(line)
            known[json.dumps(entry["key"], sort_keys=True)] = entry["result"]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}, line {number}, is no row of a study: delete it") from error
    return known


def _short(row: Row) -> str:
    return " ".join(f"{k}={v}" for k, v in row.items() if not isinstance(v, list | dict))
