"""Jobs over HTTP, with an engine that works when told."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.query import Wishes
from server.store import ROW, Job, Store
from server.work import Task, inspect
from srnet.image import Header
from tests.serving import Served, in_thread, location, opened, picture, problem, served, until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path, jobs_waiting=2) as running:
        yield running


def make(server: Served, data: bytes | None = None, query: str = "", **headers: str) -> Any:
    data = picture() if data is None else data
    files = {"file": ("a.png", data)}
    return server.client.post(f"/v1/jobs?{query}", files=files, headers=headers)


def look(server: Served, job: dict[str, Any]) -> dict[str, Any]:
    return server.client.get(f"/v1/jobs/{job['id']}").json()


def ended(server: Served, job: dict[str, Any], state: str = "done") -> dict[str, Any]:
    until(lambda: look(server, job)["state"] == state)
    return look(server, job)


def files(folder: Path) -> list[str]:
    return sorted(path.suffix for path in (folder / "jobs").iterdir())


def test_from_queued_to_result(server: Served, tmp_path: Path) -> None:
    answer = make(server, query="scale=2&format=webp")
    assert answer.status_code == 202
    job = answer.json()
    assert location(answer) == f"/v1/jobs/{job['id']}"
    assert job["input"] == {"name": "a.png", "bytes": len(picture()), "width": 20, "height": 14}
    job = ended(server, job)
    assert job["progress"] == 1
    assert job["place"] is None
    assert job["output"]["width"] == 40
    assert job["output"]["format"] == "webp"
    assert job["consistency_db"] > 20
    assert job["expires"] > job["created"]
    result = server.client.get(f"/v1/jobs/{job['id']}/result")
    assert opened(result.content).size == (40, 28)
    assert len(result.content) == job["output"]["bytes"]
    assert result.headers["content-type"] == "image/webp"
    assert "a_x2.webp" in result.headers["content-disposition"]
    assert files(tmp_path) == [".result"]


def test_same_bytes_as_the_direct_way(server: Served) -> None:
    job = ended(server, make(server, query="scale=3").json())
    direct = server.client.post("/v1/upscale?scale=3", content=picture())
    assert server.client.get(f"/v1/jobs/{job['id']}/result").content == direct.content


def test_progress_and_places(server: Served) -> None:
    server.engine.hold()
    first = make(server, picture(100, 100)).json()
    until(lambda: look(server, first)["state"] == "running")
    second, third = make(server).json(), make(server).json()
    assert look(server, second)["place"] == 1
    assert look(server, third)["place"] == 2
    full = make(server)
    problem(full, 429, "queue-full")
    assert int(full.headers["retry-after"]) > 0
    assert look(server, first)["progress"] == 0
    server.engine.let_go(8)
    until(lambda: 0 < look(server, first)["progress"] < 1)
    refused = server.client.get(f"/v1/jobs/{first['id']}/result")
    problem(refused, 409, "job-not-done")
    server.engine.let_go()
    for job in (first, second, third):
        ended(server, job)


def test_events_tell_each_change_and_end(server: Served) -> None:
    server.engine.hold()
    job = make(server, picture(100, 100)).json()
    until(lambda: look(server, job)["state"] == "running")
    states = []
    with server.client.stream("GET", f"/v1/jobs/{job['id']}/events") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        for line in events.iter_lines():
            if line.startswith("data: "):
                states.append(json.loads(line[6:]))
                server.engine.let_go(5)
    assert states[0]["state"] == "running"
    assert states[-1]["state"] == "done"
    progress = [state["progress"] for state in states]
    assert progress == sorted(progress)
    assert any(0 < value < 1 for value in progress)


def test_deleting_a_running_job_stops_it_within_a_batch(server: Served, tmp_path: Path) -> None:
    server.engine.hold()
    job = make(server, picture(200, 200)).json()
    until(lambda: server.engine.batches == 1)
    server.engine.let_go(1)
    until(lambda: look(server, job)["progress"] > 0)
    with server.client.stream("GET", f"/v1/jobs/{job['id']}/events") as events:
        lines = events.iter_lines()
        before = json.loads(next(line for line in lines if line.startswith("data: "))[6:])
        assert server.client.delete(f"/v1/jobs/{job['id']}").status_code == 204
        after = json.loads(list(lines)[-2].removeprefix("data: "))
    assert after["state"] == "cancelled"
    assert after["progress"] == before["progress"] > 0  # a bar does not jump back
    problem(server.client.get(f"/v1/jobs/{job['id']}"), 404, "not-found")
    server.engine.let_go(1)
    until(lambda: not server.service.busy)
    assert server.engine.batches == 2
    server.engine.let_go()
    ended(server, make(server).json())
    assert files(tmp_path) == [".result"]


def test_idempotency_key_gives_the_same_job(server: Served) -> None:
    one = make(server, **{"idempotency-key": "k1"})
    two = make(server, **{"idempotency-key": "k1"})
    assert one.json()["id"] == two.json()["id"]
    assert two.headers["location"] == one.headers["location"]
    other = make(server, query="scale=3", **{"idempotency-key": "k1"})
    problem(other, 422, "key-reused")
    assert make(server, **{"idempotency-key": "k2"}).json()["id"] != one.json()["id"]


def test_idempotency_key_at_the_same_moment(server: Served) -> None:
    threads = [in_thread(lambda: make(server, **{"idempotency-key": "k"})) for _ in range(6)]
    for thread, _ in threads:
        thread.join()
    assert len({results[0].json()["id"] for _, results in threads}) == 1


@pytest.mark.parametrize("key", ["", "k"])
def test_job_of_a_client_that_went_away_before_it_was_told_of_it(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    begun, free = threading.Event(), threading.Event()

    def slowly(task: Task) -> Header:
        begun.set()
        assert free.wait(60)
        return inspect(task)

    monkeypatch.setattr("server.service.inspect", slowly)
    body = picture()
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    head += f"Idempotency-Key: {key}\r\n" if key else ""
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(head.encode() + b"\r\n" + body)
        assert begun.wait(60)
    assert server.client.get("/livez").is_success  # meanwhile the service has seen the end of it
    free.set()
    status = 202 if key else 499
    told = f'method="POST",route="/v1/jobs",status="{status}"'
    until(lambda: told in server.client.get("/metrics").text)
    until(lambda: not server.app.state.jobs._line.live)
    assert files(tmp_path) == ([".result"] if key else [])  # with the key it can be asked for


def test_what_cannot_work_is_refused_at_once(server: Served, tmp_path: Path) -> None:
    problem(make(server, b"nothing"), 415, "not-a-picture")
    problem(make(server, picture(1200, 1200), "scale=16"), 422, "too-many-pixels")
    problem(make(server, query="model=nope"), 422, "bad-parameter")
    assert files(tmp_path) == []


def test_failed_job_says_why(server: Served) -> None:
    data = picture(60, 60)
    job = ended(server, make(server, data[: len(data) // 2]).json(), "failed")
    assert job["error"]["type"] == "/docs#not-a-picture"
    refused = server.client.get(f"/v1/jobs/{job['id']}/result")
    assert "damaged" in problem(refused, 409, "job-failed")
    server.engine.error = RuntimeError("secret")
    job = ended(server, make(server).json(), "failed")
    assert job["error"]["type"] == "/docs#internal"
    assert "secret" not in json.dumps(job)


@pytest.mark.parametrize("path", ["nope", "nope/events", "nope/result", "..", "%2e%2e%2fjobs"])
def test_unknown_job(server: Served, path: str) -> None:
    assert server.client.get(f"/v1/jobs/{path}").status_code in (404, 405)


def test_time_limit(tmp_path: Path) -> None:
    with served(tmp_path, job_time_limit=0.05) as server:
        server.engine.hold()
        job = make(server, picture(200, 200)).json()
        until(lambda: server.engine.batches == 1)
        time.sleep(0.1)
        server.engine.let_go(1)
        failed = ended(server, job, "failed")
        assert failed["error"]["type"] == "/docs#time-limit"
        assert 0 < failed["progress"] < 1  # so far it came


def test_results_expire(tmp_path: Path) -> None:
    with served(tmp_path, keep_seconds=0.001) as server:
        job = make(server).json()
        until(lambda: not server.app.state.jobs._line.live)
        server.app.state.jobs._line.store.expire()
        problem(server.client.get(f"/v1/jobs/{job['id']}"), 404, "not-found")
        assert files(tmp_path) == []


def test_oldest_results_make_room(tmp_path: Path) -> None:
    query = "format=png"
    with served(tmp_path / "one") as server:
        size = len(server.client.post(f"/v1/upscale?{query}", content=picture(60, 60)).content)
    with served(tmp_path, store_mb=3.5 * (size + ROW) / 1e6) as server:
        jobs = [ended(server, make(server, picture(60, 60), query).json()) for _ in range(5)]
        there = [server.client.get(f"/v1/jobs/{job['id']}").status_code for job in jobs]
        assert there == [404, 404, 200, 200, 200]
        assert files(tmp_path) == [".result"] * 3
        told = problem(make(server, picture(200, 200, "BMP")), 422, "too-large-to-keep")
        assert "/v1/upscale" in told


def test_jobs_survive_a_restart(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        done = ended(server, make(server).json())
        server.engine.hold()
        running, queued = make(server, picture(90, 90)).json(), make(server).json()
        until(lambda: look(server, running)["state"] == "running")
    with served(tmp_path) as server:
        assert look(server, done)["state"] == "done"
        assert server.client.get(f"/v1/jobs/{done['id']}/result").is_success
        ended(server, running)
        ended(server, queued)


def stored(tmp_path: Path, **changes: Any) -> Job:
    data = picture()
    job = Job(
        id="j",
        owner="",
        key=None,
        fingerprint="",
        model="fake",
        wishes=Wishes().model_dump(exclude_none=True),
        accept="*/*",
        name="a.png",
        input_bytes=len(data),
        width=20,
        height=14,
        created=time.time(),
        **changes,
    )
    store = Store(tmp_path)
    store.input("j").write_bytes(data)
    store.add(job)
    store.close()
    return job


def test_job_cut_off_once_runs_again(tmp_path: Path) -> None:
    stored(tmp_path, state="running", attempts=1)
    with served(tmp_path) as server:
        ended(server, {"id": "j"})


def test_job_cut_off_twice_does_not(tmp_path: Path) -> None:
    stored(tmp_path, state="running", attempts=2)
    with served(tmp_path) as server:
        ended(server, {"id": "j"}, "failed")
        assert server.engine.batches == 0
    assert files(tmp_path) == []


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    stored(tmp_path, state="queued")
    folder = tmp_path / "jobs"
    for name in ("j.result.ab.partial", "x.input", "x.result", "j.other"):
        (folder / name).write_bytes(b"half")
    Store(tmp_path).close()
    assert [path.name for path in folder.iterdir()] == ["j.input"]
