"""What is wrong with a parameter, as a sentence that says what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

SHOWN = 40  # characters of what was given
Item = Mapping[str, Any]  # one of pydantic's errors

_WORDS: Mapping[str, Callable[[Item], str]] = {
    "greater_than_equal": lambda item: f"must be at least {item['ctx']['ge']:.15g}",
    "less_than_equal": lambda item: f"must be at most {item['ctx']['le']:.15g}",
    "float_parsing": lambda _: "must be a number",
    "int_parsing": lambda _: "must be a whole number",
    "bool_parsing": lambda _: "must be true or false",
    "finite_number": lambda _: "must be a number",
    "literal_error": lambda item: f"must be {_listed(item['ctx']['expected'])}",
    "string_too_short": lambda _: "must not be empty: leave it out, or give it a value",
    "string_too_long": lambda item: f"must have at most {item['ctx']['max_length']} characters",
}


def sentence(item: Item, fields: Mapping[str, Any]) -> str:
    """One error of pydantic in words; ``fields`` are pydantic's, of what may be given."""
    name = ".".join(str(part) for part in item["loc"][1:])
    given = str(item["input"])
    if item["type"] == "extra_forbidden":
        return f"{name[:SHOWN]} is not a parameter{_meant(name, fields)}"
    if item["type"] == "string_pattern_mismatch" and name in fields:
        wanted = f"must be written like {fields[name].examples[0]}"
    else:
        words = _WORDS.get(item["type"])
        wanted = words(item) if words else f"is wrong: {item['msg']}"
    if not given or len(given) > SHOWN:
        return f"{name} {wanted}"
    return f"{name} {wanted}, not {given}"


def for_callers(message: str) -> str:
    """A message of the library without what a caller of the service cannot do."""
    message = re.sub(r",? or raise the limit( \([^)]*\))?", "", message)
    return re.sub(r"\(--(\w+)\)", r"(parameter \1)", message)


def waiting(count: int, what: str) -> str:
    """``3 jobs are waiting``."""
    return f"1 {what} is waiting" if count == 1 else f"{count or 'no'} {what}s are waiting"


def _meant(name: str, fields: Mapping[str, Any]) -> str:
    close = get_close_matches(name[:SHOWN].lower(), fields, 1)
    return f": did you mean {close[0]}?" if close else f"; there are {', '.join(fields)}"


def _listed(expected: str) -> str:
    """Pydantic's list, without the quotation marks."""
    return expected.replace("'", "")
