"""The events of a job as an EventSource meets them, which asks again whenever they end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving import Served, location, picture, served, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("data")) as running:
        yield running


def events(server: Served, job: str, **headers: str) -> httpx.Response:
    return server.client.get(f"{job}/events", headers=headers)


def ids(answer: httpx.Response) -> list[str]:
    return [line[4:] for line in answer.text.splitlines() if line.startswith("id: ")]


@pytest.mark.parametrize("end", ["done", "failed"])
def test_who_heard_the_end_is_told_that_there_is_no_more(server: Served, end: str) -> None:
    data = picture(60, 60)
    sent = data if end == "done" else data[: len(data) // 2]
    job = location(server.client.post("/v1/jobs", content=sent))
    heard = events(server, job)
    assert ids(heard)[-1] == end
    again = events(server, job, **{"last-event-id": end})
    assert (again.status_code, again.content) == (204, b"")
    for last in ("running", "queued", "", "nonsense"):
        assert ids(events(server, job, **{"last-event-id": last})) == [end]


def test_who_did_not_hear_the_end_is_told_what_is_new(server: Served) -> None:
    server.engine.hold()
    job = location(server.client.post("/v1/jobs", content=picture(60, 60)))
    until(lambda: server.client.get(job).json()["state"] == "running")
    headers = {"last-event-id": "running"}
    with server.client.stream("GET", f"{job}/events", headers=headers) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "id: running"
        server.engine.let_go()
        last = [line for line in lines if line.startswith("data: ")][-1]
    assert json.loads(last[6:])["state"] == "done"


def test_job_that_ended_and_is_gone_was_not_cancelled(tmp_path: Path) -> None:
    with served(tmp_path, keep_seconds=0.001) as server:
        server.engine.hold()
        job = location(server.client.post("/v1/jobs", content=picture(60, 60)))
        with server.client.stream("GET", f"{job}/events") as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("id: ")
            server.engine.let_go()
            assert [line for line in lines if line.startswith("id: ")][-1] == "id: done"
        assert server.client.get(job).status_code == 404
