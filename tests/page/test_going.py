"""Progress, cancelling, errors."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from tests.page.support import Page, Served, expect

pytestmark = pytest.mark.slow


def test_progress_and_cancel(page: Page, picture: Path, service: Served) -> None:
    engine = service.engines[0]
    engine.close()
    page.add(picture)
    page.go()
    expect(page.rows("running")).to_have_count(1)
    engine.passes.release(4)
    bar = page.rows().get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-label", "Enlarging hill.png")
    expect(page.rows()).to_contain_text(re.compile(r"Enlarging, [1-9]\d? %"))
    assert 0 < bar.evaluate("bar => bar.value") < 1
    with page.at.expect_request(lambda request: request.method == "DELETE") as deleted:
        page.at.get_by_role("button", name="Cancel: hill.png").click()
    assert deleted.value.response().status == 204
    expect(page.rows("cancelled")).to_have_count(1)
    engine.open.set()
    job = page.at.request.get(deleted.value.url)
    assert job.status == 404  # the service keeps nothing of it
    page.at.get_by_role("button", name="Try again: hill.png").click()
    page.finish()


def test_a_job_that_is_cancelled_before_it_is_known_is_deleted(
    page: Page, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from server.work import inspect

    free = threading.Event()

    def slowly(*given: Any) -> Any:
        assert free.wait(60)
        return inspect(*given)

    monkeypatch.setattr("server.service.inspect", slowly)
    page.add(picture)
    page.go()
    expect(page.rows("uploading").locator("progress")).to_have_js_property("value", 1)
    page.at.get_by_role("button", name="Cancel: hill.png").click()
    expect(page.rows("cancelled")).to_have_count(1)
    with page.at.expect_request(lambda request: request.method == "DELETE") as deleted:
        free.set()
    assert deleted.value.response().status == 204
    expect(page.rows("cancelled")).to_have_count(1)
    page.at.get_by_role("button", name="Try again: hill.png").click()
    page.finish()


def test_errors_say_what_the_service_said(page: Page, tmp_path: Path, picture: Path) -> None:
    hostile = tmp_path / "<img src=x onerror=alert(1)>.png"
    hostile.write_bytes(b"not a picture at all")
    page.add(hostile, picture)
    page.go()
    row = page.rows("failed")
    expect(row).to_contain_text("Not a picture that can be read")
    expect(row.get_by_role("button", name="Try again")).to_be_hidden()  # it would fail again
    caption = page.at.locator("#caption.error")
    expect(caption).to_contain_text("not a picture of a known format")
    expect(caption).to_contain_text(re.compile(r"\(request [\w.-]+\)"))
    expect(page.at.locator("#live")).to_contain_text(re.compile("failed|finished"))
    assert page.at.locator("#list .name").first.text_content() == hostile.name
    page.finish(1)  # the other one is not held up


def test_an_empty_file_is_not_sent(page: Page, tmp_path: Path) -> None:
    (tmp_path / "nothing.png").touch()
    page.add(tmp_path / "nothing.png")
    page.go()
    row = page.rows("failed")
    expect(row).to_contain_text("Empty file")
    expect(row.get_by_role("button", name="Try again")).to_be_hidden()
    expect(page.at.locator("#caption.error")).to_have_text("The file is empty.")


def test_both_sides_lie_on_the_colour_that_transparency_became(page: Page, tmp_path: Path) -> None:
    values = np.full((40, 60, 4), (200, 40, 40, 255), np.uint8)
    values[:, :30, 3] = 0
    PIL.Image.fromarray(values).save(tmp_path / "half.png")
    page.add(tmp_path / "half.png")
    page.at.select_option("#format", "jpeg")
    page.go()
    page.compared()
    for side in ("left", "right"):
        img = page.at.locator(f".pane.{side} img")
        expect(img).to_have_css("background-color", "rgb(255, 255, 255)")
    page.at.select_option("#format", "png")
    page.go()
    page.compared()
    expect(page.at.locator(".pane.left img")).to_have_css("background-color", "rgba(0, 0, 0, 0)")


def test_how_far_several_have_come_is_in_sight(
    page: Page, picture: Path, tmp_path: Path, service: Served
) -> None:
    files = [tmp_path / f"{n}.png" for n in range(4)]
    for file in files:
        file.write_bytes(picture.read_bytes())
    title, panel = page.at.locator("#pictures-title"), page.at.locator("#panel")
    page.at.set_viewport_size({"width": 1280, "height": 640})
    page.add(*files)
    expect(title).to_have_text("Pictures")
    panel.evaluate("panel => panel.scrollTo(0, 300)")
    service.engines[0].close()
    page.at.locator("#go").click()
    expect(title).to_have_text("Pictures: 0 of 4 done")
    expect(title).to_be_in_viewport()
    service.engines[0].open.set()
    page.finish(4)
    expect(title).to_have_text("Pictures")


def test_half_a_picture_is_not_shown_as_if_it_were_whole(page: Page, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    half = tmp_path / "half.jpg"
    PIL.Image.fromarray(values).save(half)
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    page.add(half)
    page.go()
    expect(page.rows("failed")).to_contain_text("Not a picture that can be read")
    caption = page.at.locator("#caption.error")
    expect(caption).to_contain_text(re.compile(r"\(request [\w.-]+\)"))  # though its job failed
    expect(page.at.locator("#cover")).to_contain_text("No preview")
    expect(page.at.locator("#stage img:visible")).to_have_count(0)
    expect(page.at.locator("#list img.thumb")).to_have_count(0)


def test_an_option_that_cannot_work_is_explained(page: Page, picture: Path) -> None:
    page.add(picture)
    page.choose("Other")
    page.at.fill("#first", "17")
    page.go()
    expect(page.rows("ready")).to_have_count(1)  # the browser points at the field
    page.at.select_option("#way", "width")
    page.at.fill("#first", "100000")
    page.go()
    expect(page.at.locator("#caption.error")).to_contain_text("choose a smaller")
