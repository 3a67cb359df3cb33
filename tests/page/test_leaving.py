"""The browser asks before the page is left while a result would be lost, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.page.support import Page, Served, expect

pytestmark = pytest.mark.slow

ASKS = "() => !dispatchEvent(new Event('beforeunload', {cancelable: true}))"


def test_a_result_that_was_not_downloaded_is_asked_for(
    page: Page, picture: Path, service: Served
) -> None:
    page.add(picture)
    expect(page.rows("ready")).to_have_count(1)
    assert not page.at.evaluate(ASKS)
    service.engines[0].close()
    page.go()
    expect(page.rows("running")).to_have_count(1)
    assert page.at.evaluate(ASKS)
    page.at.get_by_role("button", name="Cancel: hill.png").click()
    assert not page.at.evaluate(ASKS)
    service.engines[0].open.set()
    page.go()
    page.finish()
    assert page.at.evaluate(ASKS)
    with page.at.expect_download():
        page.at.click("#download")
    assert not page.at.evaluate(ASKS)
    page.go()  # once more
    page.finish()
    assert page.at.evaluate(ASKS)
    page.at.get_by_role("button", name="Remove: hill.png").click()
    assert not page.at.evaluate(ASKS)


def test_all_that_are_downloaded_are_asked_for_no_more(
    page: Page, picture: Path, tmp_path: Path
) -> None:
    files = [tmp_path / f"{n}.png" for n in range(2)]
    for file in files:
        file.write_bytes(picture.read_bytes())
    page.add(*files)
    page.go()
    page.finish(2)
    with page.at.expect_download():
        page.at.click("#download")
    assert page.at.evaluate(ASKS)  # for the other one
    saved: list[str] = []
    page.at.on("download", lambda download: saved.append(download.suggested_filename))
    page.at.get_by_role("button", name="Download all").click()
    while len(saved) < 2:
        page.at.wait_for_timeout(50)
    assert not page.at.evaluate(ASKS)


def test_closing_the_tab_asks_and_can_be_refused(page: Page, picture: Path) -> None:
    page.add(picture)
    page.go()
    page.finish()
    with page.at.expect_event("dialog") as dialog:
        page.at.close(run_before_unload=True)
    assert dialog.value.type == "beforeunload"
    dialog.value.dismiss()
    page.finish()  # it is there still
