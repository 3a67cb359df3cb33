"""A picture in the page: both sides, divider, zoom, what was added."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from srnet.image import read_header
from tests.page.support import Page, expect

pytestmark = pytest.mark.slow


def test_a_picture_goes_up_and_comes_back(page: Page, picture: Path, tmp_path: Path) -> None:
    page.add(picture)
    expect(page.rows("ready")).to_contain_text("120 × 80 → 240 × 160")
    page.go()
    page.finish()
    page.compared()
    expect(page.at.locator("#facts")).to_contain_text("240 × 160")
    expect(page.at.locator("#facts")).to_contain_text(re.compile(r"Consistency\d+\.\d dB"))
    expect(page.at.locator("#live")).to_contain_text("hill.png: finished")
    with page.at.expect_download() as download:
        page.at.click("#download")
    assert download.value.suggested_filename == "hill_x2.png"
    download.value.save_as(tmp_path / "got.png")
    header = read_header((tmp_path / "got.png").read_bytes(), "got.png")
    assert (header.width, header.height) == (240, 160)


def test_both_sides_are_what_they_say(page: Page, picture: Path) -> None:
    page.add(picture)
    page.go()
    page.compared()
    width, height, *bicubic = page.pixel("left", 100, 70)
    assert (width, height) == (240, 160)
    _, _, *enlarged = page.pixel("right", 100, 70)
    assert np.subtract(enlarged, bicubic).tolist() == pytest.approx([20, 20, 20], abs=1)
    _, _, *original = page.pixel("left", 100, 70)
    assert original == bicubic  # and stays


def test_the_divider_moves_by_mouse_and_keys(page: Page, picture: Path) -> None:
    page.add(picture)
    page.go()
    page.compared()
    assert page.split() == 50
    stage = page.at.locator("#stage").bounding_box()
    middle = stage["y"] + stage["height"] / 2
    page.at.mouse.move(stage["x"] + stage["width"] / 2, middle)
    page.at.mouse.down()
    page.at.mouse.move(stage["x"] + stage["width"] / 4, middle, steps=4)
    page.at.mouse.up()
    assert page.split() == 25
    assert "inset(0px 75%" in page.at.locator(".pane.left").evaluate("e => e.style.clipPath")
    divider = page.at.get_by_role("slider", name="Divider")
    expect(divider).to_be_focused()
    for key, split in [("ArrowRight", 27), ("ArrowLeft", 25), ("PageUp", 35), ("End", 100)]:
        divider.press(key)
        assert page.split() == split
    divider.press("Home")
    expect(divider).to_have_attribute("aria-valuetext", "0 % Bicubic, 100 % srnet")


def test_zoom_and_pan(page: Page, picture: Path) -> None:
    page.add(picture)
    page.go()
    page.compared()
    fitted = page.zoom()
    divider = page.at.locator(".divider")
    divider.press("+")
    assert page.zoom() > fitted
    divider.press("1")
    assert page.zoom() == 100
    divider.press("0")
    assert page.zoom() == fitted

    stage = page.at.locator("#stage").bounding_box()
    x, y = stage["x"] + 100, stage["y"] + 200
    place = """([x, y]) => {
        const box = document.querySelector(".pane.right img").getBoundingClientRect();
        return [(x - box.left) / box.width, (y - box.top) / box.height];
    }"""
    before = page.at.evaluate(place, [x, y])
    page.at.mouse.move(x, y)
    for _ in range(4):
        page.at.mouse.wheel(0, -240)
    expect(page.at.locator("#zoom")).not_to_have_text(f"{fitted} %")
    assert page.at.evaluate(place, [x, y]) == pytest.approx(before, abs=0.03)  # held in place

    before = page.at.evaluate(place, [x, y])
    zoomed, split = page.zoom(), page.split()
    page.at.mouse.down()
    page.at.mouse.move(x + 60, y + 40, steps=3)
    page.at.mouse.up()
    assert page.at.evaluate(place, [x + 60, y + 40]) == pytest.approx(before, abs=1e-3)
    assert (page.zoom(), page.split()) == (zoomed, split)
    divider.press("Shift+ArrowRight")
    assert page.at.evaluate(place, [x + 60, y + 40])[0] > before[0]


def test_what_was_added(page: Page, picture: Path) -> None:
    page.add(picture)
    page.go()
    page.compared()
    page.choose("What was added")
    expect(page.tag("right")).to_have_text("What was added")
    expect(page.at.locator("#caption")).to_contain_text("Grey: nothing was added")
    expect(page.at.locator("#cover")).to_be_hidden()
    width, height, *grey = page.pixel("right", 50, 50)
    assert (width, height) == (240, 160)
    assert grey == pytest.approx([127.5 + 4 * 20] * 3, abs=3)
    page.choose("Bicubic")
    page.compared()
    expect(page.at.locator("#caption")).to_be_hidden()


def test_numbers_are_rounded_before_their_unit_is_chosen(page: Page) -> None:
    def words(name: str, *numbers: float) -> list[str]:
        given = [name, list(numbers)]
        way = (
            f"async ([name, numbers]) => numbers.map((await import('{page.at.url}text.js'))[name])"
        )
        return page.at.evaluate(way, given)

    sizes = words("bytes", 999, 1000, 99_400, 99_700, 999_400, 999_600, 2e12)
    assert sizes == ["999 B", "1.0 kB", "99 kB", "100 kB", "999 kB", "1.0 MB", "2000 GB"]
    times = words("seconds", 1.23, 9.97, 59.4, 59.7, 119.7, 3599.8)
    assert times == ["1.2 s", "10 s", "59 s", "1 min 0 s", "2 min 0 s", "60 min 0 s"]
