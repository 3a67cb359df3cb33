"""What memory a service takes: bounds for the process, and for formats that are heavy to write."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from server import memory
from server.wording import waiting
from tests.serving import picture, problem, served


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


def test_heavy_formats_hold_fewer_pixels(tmp_path: Path) -> None:
    with served(tmp_path, max_megapixels=0.1) as server:
        data = picture(100, 100)  # and four times as many pixels then
        for name, fits in (("png", True), ("jpeg", True), ("webp", False), ("avif", False)):
            answer = server.client.post(f"/v1/upscale?scale=2&format={name}", content=data)
            assert answer.is_success == fits
        told = problem(answer, 422, "too-many-pixels")
        assert "avif takes 10 times the memory of png" in told
        less = server.client.post("/v1/upscale?width=50&format=avif", content=picture(300, 300))
        assert less.is_success  # whatever the picture has
        other = {"Accept": "image/avif, image/png;q=0.5"}
        answer = server.client.post("/v1/upscale?scale=2", content=data, headers=other)
        assert answer.headers["content-type"] == "image/png"


def test_messages_count_what_waits() -> None:
    assert waiting(1, "job") == "1 job is waiting"
    assert waiting(2, "job") == "2 jobs are waiting"
