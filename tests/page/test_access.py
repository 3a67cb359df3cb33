"""Narrow screens, keyboard, names, keys."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.page.support import Page, Served, expect, serve

pytestmark = pytest.mark.slow


KEY = "correct horse"
WIDTH = "document.documentElement.scrollWidth"


@contextlib.contextmanager
def phone(browser: Any, service: Served, picture: Path, scheme: str = "light") -> Iterator[Page]:
    """The page on a narrow screen, with a result in it."""
    context = browser.new_context(
        viewport={"width": 375, "height": 812},
        has_touch=True,
        is_mobile=True,
        color_scheme=scheme,
        reduced_motion="reduce",
    )
    page = Page(context, service.url)
    assert page.at.evaluate(WIDTH) == 375
    page.add(picture)
    expect(page.at.locator("#go")).to_be_in_viewport()
    page.at.locator("#go").tap()
    page.compared()
    yield page
    context.close()
    assert page.faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen(browser: Any, service: Served, picture: Path, scheme: str) -> None:
    with phone(browser, service, picture, scheme) as page:
        page.choose("Other")
        page.at.select_option("#way", "fit")
        assert page.at.evaluate(WIDTH) == 375
        outside = page.at.evaluate(
            """[...document.querySelectorAll("button, input, select, a, output")]
                .filter(e => e.offsetParent && !e.closest(".skip"))
                .filter(e => e.getBoundingClientRect().right > 375).map(e => e.outerHTML)"""
        )
        assert outside == []
        page.at.evaluate("scrollTo(0, 0)")
        stage = page.at.locator("#stage").bounding_box()
        assert stage["y"] + stage["height"] < 812 - 84  # above the button at the bottom
        light = page.at.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (int(re.findall(r"\d+", light)[0]) > 128) == (scheme == "light")


def test_fingers_move_the_divider_and_zoom(browser: Any, service: Served, picture: Path) -> None:
    with phone(browser, service, picture) as page:
        page.at.evaluate("scrollTo(0, 0)")
        stage = page.at.locator("#stage").bounding_box()
        fingers = page.at.context.new_cdp_session(page.at)

        def touch(kind: str, *places: tuple[float, float]) -> None:
            where = [
                {"x": stage["x"] + x, "y": stage["y"] + y, "id": i}
                for i, (x, y) in enumerate(places)
            ]
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": where})

        middle = stage["width"] / 2
        touch("touchStart", (middle, 100))
        for step in (20, 50, 80):
            touch("touchMove", (middle + step, 100))
        touch("touchEnd")
        assert page.split() == pytest.approx(50 + 8000 / stage["width"], abs=6)
        fitted = page.zoom()
        touch("touchStart", (100, 100), (140, 100))
        for step in (10, 30, 50):
            touch("touchMove", (100 - step, 100), (140 + step, 100))
        touch("touchEnd")
        assert page.zoom() > 1.5 * fitted


def test_by_keyboard_alone(page: Page, picture: Path) -> None:
    # The browser is told early to hand the chooser over: on a busy machine the key, which
    # goes another way, can overtake that order.
    page.at.on("filechooser", lambda _: None)
    page.at.keyboard.press("Tab")
    expect(page.at.get_by_role("link", name="Skip to the settings")).to_be_focused()
    button = page.at.get_by_role("button", name="Choose pictures")
    for _ in range(3):
        if button.evaluate("e => e === document.activeElement"):
            break
        page.at.keyboard.press("Tab")
    expect(button).to_be_focused()
    assert button.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    with page.at.expect_file_chooser() as chooser:
        page.at.keyboard.press("Enter")
    chooser.value.set_files(str(picture))
    expect(page.rows("ready")).to_have_count(1)
    page.at.locator("input[name=size][value='2']").focus()
    page.at.keyboard.press("ArrowRight")
    expect(page.rows()).to_contain_text("360 × 240")
    page.at.locator("#go").focus()
    page.at.keyboard.press("Enter")
    page.compared()
    page.at.locator("#views input").first.focus()
    page.at.keyboard.press("ArrowRight")
    expect(page.tag("right")).to_have_text("What was added")
    page.at.get_by_role("button", name="Remove: hill.png").focus()
    page.at.keyboard.press("Enter")
    expect(page.at.locator("#welcome")).to_be_visible()


def test_the_focus_is_never_lost(page: Page, picture: Path, service: Served) -> None:
    service.engines[0].close()
    page.add(picture)
    go = page.at.locator("#go")
    go.press("Enter")
    expect(page.rows("running")).to_have_count(1)
    expect(go).to_be_disabled()
    expect(go).to_be_focused()
    page.at.keyboard.press("Enter")  # does nothing now
    service.engines[0].open.set()
    page.finish()
    expect(go).to_be_enabled()
    expect(go).to_be_focused()
    page.add(picture)
    add = page.at.get_by_role("button", name="Add pictures")
    page.at.get_by_role("button", name="Remove all").press("Enter")
    expect(add).to_be_focused()
    page.add(picture)
    page.at.get_by_role("button", name="Remove: hill.png").press("Enter")
    expect(add).to_be_focused()


def test_the_smallest_screen_scrolls_in_one_direction_only(page: Page, picture: Path) -> None:
    page.at.set_viewport_size({"width": 320, "height": 568})
    assert page.at.evaluate(WIDTH) == 320
    page.add(picture, picture)
    page.choose("Other")
    page.at.select_option("#way", "fit")
    page.at.fill("#first", "300")
    page.go()
    page.compared()
    assert page.at.evaluate(WIDTH) == 320


def test_everything_has_a_name(page: Page, picture: Path) -> None:
    page.add(picture)
    page.go()
    page.compared()
    nameless = page.at.evaluate(
        """[...document.querySelectorAll("button, input:not([hidden]), select, a, img")].filter(
            (e) => e.offsetParent && !e.labels?.length && !e.getAttribute("aria-label")
                && !e.textContent.trim() && !e.alt && e.className !== "thumb"
        ).map((e) => e.outerHTML)"""
    )
    assert nameless == []


def test_dropped_and_pasted(page: Page, picture: Path) -> None:
    carried = page.at.evaluate_handle(
        """(bytes) => {
            const data = new DataTransfer();
            const file = new File([new Uint8Array(bytes)], "dropped.png", {type: "image/png"});
            data.items.add(file);
            return data;
        }""",
        list(picture.read_bytes()),
    )
    page.at.dispatch_event("body", "dragover", {"dataTransfer": carried})
    expect(page.at.locator("#drop")).to_be_visible()
    page.at.dispatch_event("body", "drop", {"dataTransfer": carried})
    expect(page.at.locator("#drop")).to_be_hidden()
    expect(page.rows("ready")).to_have_count(1)
    page.at.evaluate(
        "data => document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data}))",
        carried,
    )
    expect(page.rows("ready")).to_have_count(2)


def test_a_key_may_be_given_later(browser: Any, tmp_path: Path, picture: Path) -> None:
    context = browser.new_context()
    for served in serve(tmp_path, api_keys=KEY):
        page = Page(context, served.url)
        dialog = page.at.get_by_role("dialog")
        dialog.get_by_role("button", name="Cancel").click()
        expect(page.at.locator("#banner")).to_contain_text("needs an API key")
        page.add(picture)
        page.go()
        for wrong in ("\u200bcorrect horse", "wrong"):
            dialog.get_by_label("Key").fill(wrong)
            page.at.keyboard.press("Enter")
            expect(dialog).to_contain_text("did not accept that key")
            assert page.at.evaluate("sessionStorage.length") == 0
        dialog.get_by_label("Key").fill(KEY)
        page.at.keyboard.press("Enter")
        expect(page.at.locator("#model")).to_have_value("photo")
        expect(page.at.locator("#banner")).to_be_hidden()
        page.finish()
        assert page.faults == []
    context.close()


def test_an_api_key_is_asked_for(browser: Any, tmp_path: Path, picture: Path) -> None:
    context = browser.new_context()
    for served in serve(tmp_path, api_keys=KEY):
        page = Page(context, served.url)
        dialog = page.at.get_by_role("dialog")
        dialog.get_by_label("Key").fill("wrong")
        dialog.get_by_role("button", name="Continue").click()
        expect(dialog).to_contain_text("did not accept that key")
        dialog.get_by_label("Key").fill(KEY)
        page.at.keyboard.press("Enter")
        expect(dialog).to_be_hidden()
        expect(page.at.locator("#model")).to_have_value("photo")
        page.add(picture)
        page.go()
        page.finish()
        page.compared()
        page.at.reload()
        expect(page.at.locator("#model")).to_have_value("photo")  # for this tab it is kept
        expect(dialog).to_be_hidden()
        assert page.faults == []
    context.close()


def test_giving_up_the_key_ends_the_asking(browser: Any, tmp_path: Path, picture: Path) -> None:
    context = browser.new_context()
    files = [tmp_path / f"{n}.png" for n in range(5)]
    for file in files:
        file.write_bytes(picture.read_bytes())
    for served in serve(tmp_path / "service", api_keys=KEY):
        page = Page(context, served.url)
        dialog = page.at.get_by_role("dialog")
        give_up = dialog.get_by_role("button", name="Cancel")
        give_up.click()
        page.add(*files)
        page.go()
        give_up.click()
        expect(page.rows("ready").filter(has_text="needs an API key")).to_have_count(5)
        page.at.wait_for_timeout(500)  # in which nothing is asked or sent
        expect(dialog).to_be_hidden()
        expect(page.rows("ready")).to_have_count(5)
        expect(page.at.locator("#go")).to_have_text("Enlarge 5 pictures")
        page.go()
        dialog.get_by_label("Key").fill(KEY)
        page.at.keyboard.press("Enter")
        page.finish(5)
        assert page.faults == []
    context.close()


def test_a_job_goes_on_when_the_key_is_given_after_all(page: Page, picture: Path) -> None:
    made: list[str] = []
    page.at.on("request", lambda one: "/v1/jobs?" in one.url and made.append(one.url))
    page.at.route("**/v1/jobs/*/result", lambda route: route.fulfill(status=401))
    page.add(picture)
    page.go()
    page.at.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.rows("ready")).to_contain_text("needs an API key")
    page.at.unroute("**/v1/jobs/*/result")
    page.go()
    page.finish()
    assert len(made) == 1
