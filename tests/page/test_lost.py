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


def copies(picture: Path, folder: Path, count: int) -> list[Path]:
    files = [folder / f"{n}.png" for n in range(count)]
    for file in files:
        file.write_bytes(picture.read_bytes())
    return files


def test_an_outage_is_waited_for(page: Page, picture: Path, tmp_path: Path) -> None:
    tries: list[str] = []

    def lose(route: Any) -> None:
        tries.append(route.request.url)
        route.abort()

    page.at.route("**/v1/jobs?*", lose)
    page.add(*copies(picture, tmp_path, 5))
    page.go()
    waiting = page.rows("uploading").filter(has_text="Waiting for the service. Next try in 4 s.")
    expect(waiting).to_have_count(2)
    assert len(tries) == 4  # the others are not sent into a service that is gone
    expect(page.rows("waiting")).to_have_count(3)
    page.at.unroute("**/v1/jobs?*")
    page.finish(5)


def test_cancelling_ends_the_wait(page: Page, picture: Path, tmp_path: Path) -> None:
    tries: list[str] = []

    def lose(route: Any) -> None:
        tries.append(route.request.url)
        route.fulfill(status=504, body="a proxy's page")

    page.at.route("**/v1/jobs?*", lose)
    page.add(*copies(picture, tmp_path, 1))
    page.go()
    expect(page.rows("uploading")).to_contain_text("Next try in 2 s")
    page.at.get_by_role("button", name="Cancel: 0.png").click()
    expect(page.rows("cancelled")).to_have_text("0.pngCancelled↻✕✕")
    page.at.wait_for_timeout(2500)
    assert len(tries) == 1
    page.at.unroute("**/v1/jobs?*")
    page.at.get_by_role("button", name="Try again: 0.png").click()
    page.finish()


def test_all_that_failed_are_started_again(page: Page, picture: Path, tmp_path: Path) -> None:
    headers = {"Retry-After": "0.01"}
    page.add(*copies(picture, tmp_path, 4))
    page.at.locator("#list li .select").nth(3).click()
    page.at.route("**/v1/jobs?*", lambda route: route.fulfill(status=502, headers=headers))
    page.go()
    expect(page.rows("failed")).to_have_count(4)
    expect(page.rows("failed").first).to_contain_text("status 502")
    page.at.unroute("**/v1/jobs?*")
    expect(page.at.locator("#go")).to_have_text("Enlarge 4 pictures")
    page.go()
    page.finish(4)
    expect(page.at.locator("#go")).to_have_text("Enlarge again")  # the chosen one


def test_one_that_failed_is_started_and_not_the_result_beside_it(
    page: Page, picture: Path, tmp_path: Path
) -> None:
    page.add(picture)
    page.go()
    page.finish()
    (tmp_path / "none.png").write_bytes(b"not a picture")
    page.add(*copies(picture, tmp_path, 1), tmp_path / "none.png")
    headers = {"Retry-After": "0.01"}
    page.at.route(
        "**/v1/jobs?*", lambda route: route.fulfill(status=502, headers=headers), times=14
    )
    page.go()
    expect(page.rows("failed")).to_have_count(2)
    page.at.get_by_role("button", name="Try again: none.png").click()
    expect(page.rows("failed").filter(has_text="Not a picture")).to_have_count(1)
    go = page.at.locator("#go")
    expect(go).to_have_text("Try the failed one again")  # the other would fail again
    page.choose("3×")
    expect(go).to_have_text("Enlarge 2 pictures")  # and the chosen result anew
    page.choose("2×")
    page.go()
    page.finish(2)


def test_a_job_whose_answer_is_lost_is_not_made_twice(
    page: Page, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from server.jobs import Jobs
    from server.problems import Problem

    create, made = Jobs.create, []

    async def lost(*given: Any) -> Any:
        made.append((await create(*given)).id)
        if len(made) == 1:
            raise Problem("internal", "The answer was lost.")
        return await create(*given)

    monkeypatch.setattr(Jobs, "create", lost)
    page.add(picture)
    page.go()
    expect(page.rows("uploading")).to_contain_text("Next try in 2 s")
    page.finish()
    assert len(made) == 2
    assert len(set(made)) == 1
    page.go()  # what was answered is another wish
    page.finish()
    assert len(set(made)) == 2


def test_a_file_that_changed_is_not_taken_for_an_outage(
    page: Page, picture: Path, tmp_path: Path
) -> None:
    (changing,) = copies(picture, tmp_path, 1)
    page.add(changing)
    expect(page.rows("ready")).to_contain_text("→")
    changing.write_bytes(b"longer than it was: " + picture.read_bytes())
    page.go()
    row = page.rows("failed")
    expect(row).to_contain_text("File changed or gone")
    expect(row.get_by_role("button", name="Try again")).to_be_hidden()


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
