"""At 1:1 a pixel of the picture is a pixel of the screen, on any screen."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from tests.page.support import CHROMIUM, QUIET, Page, Served, expect

pytestmark = pytest.mark.slow

DECODED = """img => {
    const {naturalWidth: width, naturalHeight: height} = img;
    const canvas = new OffscreenCanvas(width, height).getContext("2d");
    canvas.drawImage(img, 0, 0);
    return [height, width, ...canvas.getImageData(0, 0, width, height).data];
}"""
CORNER = "img => [img.getBoundingClientRect().x, img.getBoundingClientRect().y, devicePixelRatio]"


@contextlib.contextmanager
def screen(browser: Any, url: str, density: float) -> Iterator[Page]:
    """The page on a screen of so many pixels per CSS pixel; an emulated one is laid out coarser."""
    args = [*QUIET.split(), f"--force-device-scale-factor={density}", "--window-size=1000,800"]
    with browser.browser_type.launch(executable_path=CHROMIUM, args=args) as chromium:
        page = Page(chromium.new_context(no_viewport=True), url)
        assert page.at.evaluate("devicePixelRatio") == pytest.approx(density)
        yield page
        assert page.faults == []


def drawn_as_decoded(page: Page, side: str) -> bool:
    """Whether the screen shows the pixels of a side unchanged, where its picture begins."""
    img = page.at.locator(f".pane.{side} img")
    height, width, *data = img.evaluate(DECODED)
    pixels = np.reshape(data, (height, width, 4))[..., :3]
    x, y, density = img.evaluate(CORNER)
    shot = np.asarray(PIL.Image.open(io.BytesIO(page.at.screenshot())).convert("RGB"))
    left, top = int(x * density), int(y * density)  # the stage may begin between two pixels
    return any(
        np.array_equal(shot[j : j + height, i : i + width], pixels)
        for i in (left, left + 1)
        for j in (top, top + 1)
    )


@pytest.mark.parametrize("density", [1, 1.25, 1.5])
def test_actual_pixels_are_not_blurred(
    browser: Any, service: Served, tmp_path: Path, density: float
) -> None:
    for size in (40, 41):  # so that one of them cannot lie in the middle of the stage
        checks = np.where(np.indices((size, size)).sum(0) % 2, 40, 200).astype(np.uint8)
        PIL.Image.fromarray(checks).convert("RGB").save(tmp_path / f"{size}.png")
    with screen(browser, service.url, density) as page:
        page.add(*sorted(tmp_path.glob("*.png")))
        page.choose("3×")
        page.go()
        page.finish(2)
        for row in page.rows().all():
            row.locator(".select").click()
            page.compared()
            page.at.get_by_role("button", name="Actual pixels").click()
            expect(page.at.locator("#zoom")).to_have_text("100 %")
            for side, key in (("left", "End"), ("right", "Home")):
                page.at.locator(".divider").press(key)
                assert drawn_as_decoded(page, side), (row.text_content(), side)


def test_another_screen_tells_another_zoom(browser: Any, service: Served, picture: Path) -> None:
    zoom = "#zoom"
    with screen(browser, service.url, 1) as page:
        page.add(picture)
        actual = page.at.get_by_role("button", name="Actual pixels")
        actual.click()
        expect(page.at.locator(zoom)).to_have_text("100 %")
        width, height = page.at.evaluate("[innerWidth, innerHeight]")
        metrics = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": False}
        session = page.at.context.new_cdp_session(page.at)
        session.send("Emulation.setDeviceMetricsOverride", metrics)
        expect(page.at.locator(zoom)).to_have_text("200 %")
        actual.click()
        expect(page.at.locator(zoom)).to_have_text("100 %")
