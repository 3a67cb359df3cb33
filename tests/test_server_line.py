"""The line of jobs when something is in its way: no disk, no time, an end in the middle."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.line import Line
from server.store import Job, Store
from tests.serving import Served, location, picture, problem, served, until
from tests.test_server_disk import noise


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        yield running


def line_of(server: Served) -> Line:
    return server.app.state.jobs._line


def make(server: Served, data: bytes | None = None, query: str = "", **headers: Any) -> str:
    data = picture() if data is None else data
    answer = server.client.post(f"/v1/jobs?{query}", content=data, headers=headers)
    assert answer.status_code == 202, answer.text
    return location(answer)


def look(server: Served, job: str) -> dict[str, Any]:
    return server.client.get(job).json()


def ended(server: Served, job: str, state: str = "done") -> dict[str, Any]:
    until(lambda: look(server, job)["state"] == state)
    return look(server, job)


class Full:
    """Takes the place of a method of the store, and counts how often it was tried."""

    def __init__(self) -> None:
        self.tries = 0

    def __call__(self, *_: object) -> None:
        self.tries += 1
        raise sqlite3.OperationalError("database or disk is full")


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.line._AGAIN", 0.02)


@pytest.mark.usefixtures("soon")
def test_jobs_wait_for_a_disk_that_is_full(server: Served, monkeypatch) -> None:
    server.engine.hold()
    running, waiting = make(server), make(server)
    until(lambda: server.engine.batches)
    full = Full()
    with monkeypatch.context() as patch:
        patch.setattr(line_of(server).store, "change", full)
        server.engine.let_go()
        until(lambda: full.tries > 4)
        assert look(server, running)["state"] == "running"
        assert look(server, waiting)["state"] == "queued"
        assert look(server, waiting)["place"] == 1
    assert ended(server, running, "failed")["error"]["type"] == "/docs#busy"
    ended(server, waiting)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("error", [sqlite3.OperationalError("database or disk is full"), OSError()])
def test_job_that_cannot_begin_keeps_its_place(server: Served, monkeypatch, error) -> None:
    change, states = line_of(server).store.change, []

    def fail(job: Job) -> None:
        states.append(job.state)
        if len(states) < 5:
            raise error
        change(job)

    monkeypatch.setattr(line_of(server).store, "change", fail)
    first, second = make(server), make(server)
    for job in (first, second):
        ended(server, job)
    assert states == ["running"] * 5 + ["done", "running", "done"]
    stored = line_of(server).store.find(first.rsplit("/", 1)[-1])
    assert stored is not None
    assert stored.attempts == 1  # what could not begin was none


def test_full_disk_is_not_asked_all_the_time(server: Served, monkeypatch) -> None:
    full = Full()
    with monkeypatch.context() as patch:
        patch.setattr(line_of(server).store, "change", full)
        job = make(server)
        until(lambda: full.tries)
        until(lambda: look(server, job)["place"] == 1)
        assert full.tries == 1
        assert server.client.delete(job).is_success


@pytest.mark.usefixtures("soon")
def test_job_that_cannot_be_deleted_goes_on(server: Served, monkeypatch) -> None:
    server.engine.hold()
    job = make(server)
    until(lambda: server.engine.batches)
    with monkeypatch.context() as patch:
        patch.setattr(line_of(server).store, "delete", Full())
        problem(server.client.delete(job), 503, "busy")
    server.engine.let_go()
    ended(server, job)


@pytest.mark.usefixtures("soon")
def test_deleted_job_need_not_be_written_down(server: Served, monkeypatch) -> None:
    server.engine.hold()
    job = make(server)
    until(lambda: server.engine.batches)
    full = Full()
    monkeypatch.setattr(line_of(server).store, "change", full)
    server.engine.let_go()
    until(lambda: full.tries > 1)
    assert server.client.delete(job).is_success
    until(lambda: not line_of(server).live)


def test_job_that_is_deleted_as_it_begins_is_no_failure(
    server: Served, monkeypatch, caplog
) -> None:
    read = Path.read_bytes

    def slowly(path: Path) -> bytes:
        if path.suffix == ".input":
            assert server.client.delete(f"/v1/jobs/{path.stem}").is_success
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", slowly)
    make(server)
    until(lambda: not line_of(server).live and not server.service.busy)
    assert "failed" not in caplog.text


class Encoder:
    """Takes the place of one that cannot be stopped."""

    def __init__(self) -> None:
        self.begun, self.free = threading.Event(), threading.Event()

    def __call__(self, *_: object) -> bytes:
        self.begun.set()
        assert self.free.wait(60)
        return bytes(40_000)


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Encoder]:
    replaced = Encoder()
    yield replaced
    replaced.free.set()


def test_jobs_that_cannot_be_stopped_in_time_are_put_back(tmp_path, monkeypatch, encoder) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("server.work.write", encoder)
        for _ in "123":  # a job that is cut off twice by a crash is given up
            encoder.begun.clear()
            with served(tmp_path, grace_seconds=0.3) as server:
                job = next(iter(line_of(server).live), None) or make(server).rsplit("/", 1)[-1]
                assert encoder.begun.wait(60)
            store = Store(tmp_path)
            stored = store.find(job)
            store.close()
            assert stored is not None
            assert (stored.state, stored.attempts) == ("queued", 0)
    with served(tmp_path) as server:
        ended(server, f"/v1/jobs/{job}")


def test_job_that_is_late_in_an_encoder_is_not_done(tmp_path, monkeypatch, encoder) -> None:
    monkeypatch.setattr("server.work.write", encoder)
    with served(tmp_path, job_time_limit=0.05) as server:
        job = make(server)
        assert encoder.begun.wait(60)
        until(lambda: all(live.late for live in line_of(server).live.values()))
        encoder.free.set()
        assert ended(server, job, "failed")["error"]["type"] == "/docs#time-limit"
        assert [*(tmp_path / "jobs").iterdir(), *server.spooled()] == []


def test_job_that_is_deleted_in_an_encoder_takes_no_room(tmp_path, monkeypatch, encoder) -> None:
    with served(tmp_path, store_mb=0.05) as server:
        kept = make(server, noise(60), "format=tiff")  # which leaves too little for another
        ended(server, kept)
        monkeypatch.setattr("server.work.write", encoder)
        job = make(server)
        assert encoder.begun.wait(60)
        assert server.client.delete(job).is_success
        encoder.free.set()
        until(lambda: not server.service.busy)
        assert server.client.get(f"{kept}/result").is_success


def test_results_that_come_together_do_not_share_room(tmp_path, monkeypatch, encoder) -> None:
    with served(tmp_path, store_mb=0.07, jobs_running=2) as server:
        store = line_of(server).store
        make_room = store.make_room

        def slowly(needed: int, limit: int) -> bool:
            there = make_room(needed, limit)
            time.sleep(0.05)  # in which the other one could ask
            return there

        monkeypatch.setattr(store, "make_room", slowly)
        monkeypatch.setattr("server.work.write", encoder)
        jobs = [make(server) for _ in "12"]
        until(lambda: line_of(server).waiting == 0)
        encoder.free.set()
        until(lambda: not line_of(server).live)
        assert sorted(server.client.get(job).status_code for job in jobs) == [200, 404]
        assert [path.stat().st_size for path in (tmp_path / "jobs").iterdir()] == [40_000]


def test_a_job_that_comes_at_the_very_end_is_refused(server: Served) -> None:
    line_of(server).store.close()
    refused = server.client.post("/v1/jobs", content=picture())
    problem(refused, 503, "not-ready")
    assert int(refused.headers["retry-after"]) > 0
    assert list((server.service.spool.parent / "jobs").iterdir()) == []
    problem(server.client.get("/v1/jobs/any"), 503, "not-ready")


def test_what_has_ended_is_not_put_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    job = Job("j", "", None, "", "fake", {}, "", "a.png", 3, 1, 1, 0.0, state="running", attempts=1)
    again = replace(job, state="queued", attempts=0)
    for state in ("done", "failed", "running"):
        store.add(replace(job, id=state, state=state))
        store.put_back(replace(again, id=state))
    store.put_back(again)
    assert store.find("j") is None
    states = {state: store.find(state) for state in ("done", "failed", "running")}
    assert [found and found.state for found in states.values()] == ["done", "failed", "queued"]
    store.close()
