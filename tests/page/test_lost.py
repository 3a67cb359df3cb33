"""What is lost on the way: the page asks again, and makes nothing twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.page.support import Page, expect

pytestmark = pytest.mark.slow


def test_a_lost_stream_and_a_busy_service(page: Page, picture: Path) -> None:
    page.at.route("**/events", lambda route: route.abort())
    refusals = [429, 503]

    def refuse(route: Any) -> None:
        if not refusals:
            route.fallback()
            return
        route.fulfill(status=refusals.pop(), headers={"Retry-After": "1"}, json={"detail": "full"})

    page.at.route("**/v1/jobs?*", refuse)
    page.add(picture)
    page.go()
    expect(page.rows()).to_contain_text("Next try in 1 s")
    page.finish()
    assert refusals == []


def test_a_service_that_is_gone(page: Page, picture: Path) -> None:
    page.add(picture)
    page.at.route("**/v1/jobs?*", lambda route: route.abort())
    page.go()
    expect(page.rows("failed")).to_contain_text("The upload broke off")
    page.at.unroute("**/v1/jobs?*")
    page.at.get_by_role("button", name="Try again: hill.png").click()
    page.finish()


def test_a_result_that_is_lost_on_the_way_is_fetched_again(page: Page, picture: Path) -> None:
    losses = [429, 502, "abort"]
    deleted: list[str] = []

    def lose(route: Any) -> None:
        if not losses:
            route.fallback()
        elif (loss := losses.pop()) == "abort":
            route.abort()
        else:
            route.fulfill(status=loss, headers={"Retry-After": "1"}, json={"detail": "full"})

    def hear(request: Any) -> None:
        if request.method == "DELETE":
            assert losses == []
            deleted.append(request.url)

    page.at.route("**/result", lose)
    page.at.on("request", hear)
    page.add(picture)
    page.go()
    page.finish()
    page.compared()
    assert len(deleted) == 1


def test_a_result_that_cannot_be_fetched_is_kept(page: Page, picture: Path) -> None:
    deleted: list[str] = []
    page.at.on("request", lambda one: one.method == "DELETE" and deleted.append(one.url))
    page.at.route("**/result", lambda route: route.fulfill(status=404, json={"detail": "no"}))
    page.add(picture)
    page.go()
    expect(page.rows("failed")).to_have_count(1)
    assert deleted == []
    with page.at.expect_request(lambda one: one.method == "DELETE"):  # nobody will want it now
        page.at.get_by_role("button", name="Remove: hill.png").click()


def lose_the_result(page: Page, picture: Path) -> None:
    """Until it is given up; afterwards all is well."""
    headers = {"Retry-After": "0.01"}
    page.at.route("**/result", lambda route: route.fulfill(status=502, headers=headers))
    page.add(picture)
    page.go()
    expect(page.rows("failed")).to_have_count(1)
    page.at.unroute("**/result")


def test_a_result_that_is_there_still_is_fetched_by_the_next_try(page: Page, picture: Path) -> None:
    made: list[str] = []
    page.at.on("request", lambda one: "/v1/jobs?" in one.url and made.append(one.url))
    lose_the_result(page, picture)
    page.at.get_by_role("button", name="Try again: hill.png").click()
    page.finish()
    page.compared()
    assert len(made) == 1


def test_a_lost_result_with_other_settings_is_made_anew(page: Page, picture: Path) -> None:
    lose_the_result(page, picture)
    page.choose("3×")
    page.go()
    expect(page.at.locator("#facts")).to_contain_text("360 × 240")


def test_models_are_asked_for_again_after_a_failure(page: Page) -> None:
    failures = [429, 502]

    def fail(route: Any) -> None:
        route.fulfill(status=failures.pop(), body="") if failures else route.fallback()

    page.at.route("**/v1/models", fail)
    page.at.reload()
    expect(page.at.locator("#banner")).to_contain_text("status 502")
    expect(page.at.locator("#model")).to_have_value("photo", timeout=20_000)
    expect(page.at.locator("#banner")).to_be_hidden()
