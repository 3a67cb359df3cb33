"""Several pictures, settings, formats."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from tests.page.support import Page, Served, expect

pytestmark = pytest.mark.slow


def test_several_pictures_in_a_row(page: Page, picture: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{n}.png" for n in range(5)]
    for file in files:
        file.write_bytes(picture.read_bytes())
    page.add(*files[:3])
    page.add(*files[3:])
    expect(page.at.locator("#go")).to_have_text("Enlarge 5 pictures")
    page.go()
    page.finish(5)
    assert page.at.locator("#list .name").all_text_contents() == [file.name for file in files]
    saved: list[str] = []
    page.at.on("download", lambda download: saved.append(download.suggested_filename))
    page.at.get_by_role("button", name="Download all").click()
    while len(saved) < 5:
        page.at.wait_for_timeout(50)
    assert saved == [f"{n}_x2.png" for n in range(5)]
    page.at.locator("#list li .select").nth(3).click()
    expect(page.at.locator("#download")).to_have_attribute("download", "3_x2.png")
    page.compared()
    page.at.get_by_role("button", name="Remove: 3.png").click()
    expect(page.rows()).to_have_count(4)
    expect(page.at.locator("#list [aria-current]")).to_contain_text("4.png")
    page.at.click("#clear")
    expect(page.rows()).to_have_count(0)
    expect(page.at.locator("#welcome")).to_be_visible()


def test_the_settings_reach_the_service(page: Page, picture: Path) -> None:
    page.add(picture)
    page.choose("Other")
    page.at.select_option("#way", "fit")
    page.at.fill("#first", "300")
    page.at.fill("#second", "150")
    page.at.fill("#strength", "50")
    page.at.select_option("#ensemble", "2")
    page.at.select_option("#format", "jpeg")
    page.at.fill("#quality", "95")
    page.at.uncheck("#keep")
    expect(page.rows("ready")).to_contain_text("→ 225 × 150")
    with page.at.expect_request("**/v1/jobs?*") as sent:
        page.go()
    page.finish()
    assert sent.value.url.partition("?")[2] == (
        "model=photo&fit=300x150&strength=0.5&ensemble=2&format=jpeg&quality=95"
        "&background=ffffff&keep_metadata=false"
    )
    page.compared()
    expect(page.at.locator("#download")).to_have_attribute("download", re.compile(r"\.jpe?g$"))
    assert page.pixel("right", 5, 5)[:2] == [225, 150]
    change = np.subtract(page.pixel("right", 90, 60)[2:], page.pixel("left", 90, 60)[2:])
    assert change.tolist() == pytest.approx([10, 10, 10], abs=4)  # half of what is added


def test_a_format_that_browsers_cannot_show(page: Page, picture: Path) -> None:
    page.add(picture)
    page.at.select_option("#format", "tiff")
    page.go()
    page.finish()
    page.compared()  # the browser gets a PNG instead
    expect(page.at.locator("#cover")).to_be_hidden()
    _, _, *bicubic = page.pixel("left", 100, 70)
    _, _, *enlarged = page.pixel("right", 100, 70)
    assert np.subtract(enlarged, bicubic).tolist() == pytest.approx([20, 20, 20], abs=1)
    expect(page.at.locator("#download")).to_have_attribute("download", re.compile(r"\.tiff?$"))


def test_nothing_hides_under_the_button(page: Page, tmp_path: Path, picture: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}.png").write_bytes(picture.read_bytes())
    page.add(*sorted(tmp_path.glob("?.png")))
    under = """input => {
        const box = element => element.getBoundingClientRect();
        return box(input).bottom > box(document.querySelector(".go")).top;
    }"""
    for name in ("#quality", "#keep", "#model"):
        page.at.locator(name).focus()
        assert not page.at.locator(name).evaluate(under), name


def test_again_with_other_settings(page: Page, picture: Path) -> None:
    page.add(picture)
    page.go()
    page.compared()
    page.choose("3×")
    expect(page.at.locator("#go")).to_have_text("Enlarge again")
    page.go()
    expect(page.at.locator("#facts")).to_contain_text("360 × 240")
    page.compared()
    assert page.pixel("left", 9, 9)[:2] == [360, 240]


def test_object_urls_are_given_back(browser: Any, service: Served, picture: Path) -> None:
    context = browser.new_context()
    context.add_init_script(
        """window.held = new Set();
        const {createObjectURL, revokeObjectURL} = URL;
        URL.createObjectURL = (o) => { const u = createObjectURL(o); held.add(u); return u; };
        URL.revokeObjectURL = (u) => { held.delete(u); revokeObjectURL(u); };"""
    )
    page = Page(context, service.url)
    page.add(picture)
    page.go()
    page.compared()
    page.choose("What was added")
    expect(page.at.locator("#cover")).to_be_hidden()
    page.pixel("right", 1, 1)
    assert page.at.evaluate("held.size") == 4  # original, result, bicubic, residual
    page.at.get_by_role("button", name="Remove: hill.png").click()
    assert page.at.evaluate("Promise.resolve().then(() => held.size)") == 0
    context.close()
    assert page.faults == []


def test_what_a_result_lacks_is_told(page: Page, picture: Path, tmp_path: Path) -> None:
    pages = [PIL.Image.new("RGB", (40, 30), colour) for colour in ("red", "green", "blue")]
    scan = tmp_path / "scan.tif"
    pages[0].save(scan, save_all=True, append_images=pages[1:])
    page.add(scan, picture)
    page.go()
    page.finish(2)
    facts = page.at.locator("#facts")
    page.at.locator("#list li .select").nth(0).click()
    expect(facts).to_contain_text(re.compile("Left out\\s*2 pages"))
    page.at.locator("#list li .select").nth(1).click()
    expect(facts).not_to_contain_text("Left out")


def test_a_factor_that_will_be_refused_promises_no_size(page: Page, picture: Path) -> None:
    page.add(picture)
    page.choose("Other")
    for factor, shown in (("3", "→"), ("17", "Ready"), ("0.5", "Ready")):
        page.at.fill("#first", factor)
        expect(page.rows("ready")).to_contain_text(shown)
