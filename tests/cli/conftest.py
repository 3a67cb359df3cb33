"""Fixtures of these tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from srnet.cli import main
from tests.cli.support import picture


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, with a picture ``a.png`` of 10 x 8 in it."""
    monkeypatch.chdir(tmp_path)
    picture(Path("a.png"))
    return tmp_path


@pytest.fixture
def up(here, tiny_weights):
    """Runs ``srnet upscale`` with a tiny network, and returns the exit code."""

    def run(*arguments: object, model: str | Path = tiny_weights[2]) -> int:
        return main(["upscale", *(str(a) for a in arguments), "--model", str(model)])

    return run
