"""Question 1: what does the global residual buy? Bicubic, nearest or no base."""

from __future__ import annotations

from srnet.study.ledger import Row
from srnet.study.precision import errors
from srnet.study.trial import Bench

QUESTION = "base"


def rows(bench: Bench) -> dict[str, list[Row]]:
    """The same network on three bases; the precision of each is measured on the way."""
    return {
        f"{base} base": bench.train(QUESTION, base, bench.net(base=base), probe=errors)
        for base in ("bicubic", "nearest", "none")
    }
