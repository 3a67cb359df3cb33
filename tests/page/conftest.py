"""Fixtures of these tests; ``support`` is not there on machines without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from srnet.image import Image, encode

if TYPE_CHECKING:
    from tests.page.support import Page, Served


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from tests.page.support import serve

    yield from serve(tmp_path_factory.mktemp("service"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from tests.page.support import CHROMIUM, QUIET, playwright

    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=QUIET.split())
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, service: Served) -> Iterator[Page]:
    from tests.page.support import Page

    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = Page(context, service.url)
    yield page
    context.close()
    assert page.faults == []


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A smooth colour picture of 120 x 80 pixels, far from black and white."""
    y, x = np.mgrid[0:80, 0:120]
    rgb = np.stack([60 + x, 60 + y, 180 - x // 2], axis=-1).astype(np.uint8)
    path = tmp_path_factory.mktemp("pictures") / "hill.png"
    path.write_bytes(encode([Image(rgb)], "png"))
    return path
