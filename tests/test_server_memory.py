"""What is bounded before a process serves, and that its environment comes first."""

from __future__ import annotations

import ctypes
import os
from types import SimpleNamespace

import pytest

from server import memory


@pytest.mark.parametrize(
    ("environment", "told"), [({}, [(-8, 1)]), ({"MALLOC_ARENA_MAX": "3"}, [])]
)
def test_hoards_are_bounded_unless_the_environment_says_else(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], told: list[tuple[int, int]]
) -> None:
    calls: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda *pair: calls.append(pair))
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    monkeypatch.setattr(os, "environ", environment)
    memory.bound()
    assert calls == told
    assert environment["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "16"


def test_another_c_library_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    memory.bound()
