"""Room on the disk: what is kept, what must go, and what happens when there is none."""

from __future__ import annotations

import errno
import io
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from server.main import run
from server.query import Wishes
from server.settings import Settings
from server.store import ROW, Job, Store
from srnet.cli import main
from srnet.errors import SetupError
from tests.serving import Served, location, picture, problem, served, until

LARGE = picture(800, 700, "BMP")  # more than is held in memory
FORMAT = "format=tiff"
LONG = f"{FORMAT}&width=999"  # no multiple, so that pixels are not only repeated


def noise(side: int) -> bytes:
    """A picture that no format makes small."""
    values = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(values).save(file, "BMP")
    return file.getvalue()


def make(server: Served, data: bytes, query: str = FORMAT, **headers: str) -> Any:
    return server.client.post(f"/v1/jobs?{query}", content=data, headers=headers)


def ended(server: Served, answer: Any) -> dict[str, Any]:
    assert answer.status_code == 202, answer.text
    address = location(answer)
    until(lambda: server.client.get(address).json()["state"] in ("done", "failed"))
    return server.client.get(address).json()


def left(folder: Path) -> list[str]:
    names = [path.name for part in ("jobs", "spool") for path in (folder / part).iterdir()]
    return sorted(name[32:] for name in names)


@pytest.fixture
def fill(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A function after whose call files can be begun, but not written to the end."""
    write = Path.write_bytes

    def half(path: Path, data: bytes) -> int:
        if path.parent.name in ("jobs", "spool"):
            write(path, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, data)

    return lambda: monkeypatch.setattr(Path, "write_bytes", half)


def test_what_can_never_fit_deletes_nothing(tmp_path: Path) -> None:
    with served(tmp_path, store_mb=0.45, api_keys="a,b") as server:
        server.client.headers["x-api-key"] = "a"
        jobs = [ended(server, make(server, picture(60, 60))) for _ in "12"]
        refused = make(server, picture(400, 406, "BMP"), **{"x-api-key": "b"})
        assert "0.45 MB" in problem(refused, 422, "too-large-to-keep")
        assert "retry-after" not in refused.headers
        for job in jobs:
            assert server.client.get(f"/v1/jobs/{job['id']}/result").is_success


def test_result_that_can_never_fit_deletes_nothing(tmp_path: Path) -> None:
    with served(tmp_path, store_mb=0.1) as server:
        kept = ended(server, make(server, picture(60, 60)))
        failed = ended(server, make(server, noise(100), f"{FORMAT}&width=399"))
        assert failed["state"] == "failed"
        assert failed["error"]["type"] == "/docs#too-large-to-keep"
        assert failed["error"]["request_id"]
        assert server.client.get(f"/v1/jobs/{kept['id']}/result").is_success


def test_what_cannot_fit_beside_unfinished_jobs_deletes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name, size, state, expires in (
        ("old", 20, "done", time.time() + 99),
        ("older", 20, "done", time.time() + 99),
        ("at work", 50, "running", None),
    ):
        store.add(job(name, size, state, expires))
    assert not store.make_room(60, 100 + ROW)
    assert store.find("old")
    assert store.make_room(20, 100 + 2 * ROW)
    assert (store.find("old"), bool(store.find("older"))) == (None, True)
    assert store.make_room(50, 100 + ROW)
    assert not store.find("older")
    store.close()


def job(name: str, size: int, state: str, expires: float | None = None) -> Job:
    return Job(
        id=name,
        owner="",
        key=None,
        fingerprint="",
        model="fake",
        wishes=Wishes().model_dump(exclude_none=True),
        accept="*/*",
        name="a.png",
        input_bytes=size,
        width=20,
        height=14,
        created=time.time(),
        state=state,
        expires=expires,
        output={"bytes": size, "width": 40, "height": 28, "format": "png"},
    )


def test_full_disk_is_told_and_leaves_nothing(tmp_path: Path, fill: Callable[[], None]) -> None:
    with served(tmp_path) as server:
        fill()
        answers = [
            server.client.post(f"/v1/upscale?{LONG}", content=noise(500)),
            make(server, picture()),
        ]
        for answer in answers:
            assert "disk" in problem(answer, 503, "busy")
            assert int(answer.headers["retry-after"]) > 0
        assert left(tmp_path) == []


def test_full_disk_fails_a_job_and_leaves_nothing(tmp_path: Path, fill: Callable[[], None]) -> None:
    with served(tmp_path) as server:
        server.engine.hold()
        answer = make(server, noise(500), LONG)
        until(lambda: server.engine.batches)
        fill()
        server.engine.let_go()
        failed = ended(server, answer)
        assert failed["error"]["type"] == "/docs#busy"
        assert failed["error"]["request_id"] == answer.headers["x-request-id"]
        until(lambda: left(tmp_path) == [])


def test_list_of_jobs_that_cannot_grow_leaves_no_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with served(tmp_path) as server:
        monkeypatch.setattr(server.app.state.jobs._line.store, "add", full)
        for data in (picture(), LARGE):
            problem(make(server, data), 503, "busy")
        assert left(tmp_path) == []


def test_result_is_not_served_past_its_end(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        store = server.app.state.jobs._line.store
        for name, expires in (("past", time.time() - 1), ("kept", time.time() + 99)):
            store.add(job(name, 5, "done", expires))
            store.result(name).write_bytes(b"12345")
        assert server.client.get("/v1/jobs/kept/result").content == b"12345"
        for path in ("", "/result", "/events"):
            problem(server.client.get(f"/v1/jobs/past{path}"), 404, "not-found")


@pytest.mark.parametrize("content", [b"no database" * 999, b""])
def test_damaged_list_of_jobs_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content
) -> None:
    path = tmp_path / "jobs.sqlite3"
    path.write_bytes(content)
    if not content:  # a table of somebody else's
        with closing(sqlite3.connect(path)) as database:
            database.executescript("CREATE TABLE jobs (a, owner, key)")
    monkeypatch.setenv("SRNET_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("server.main.create_app", lambda *_: pytest.fail("too late"))
    assert main(["serve", "--port", "0"]) == 2
    error = capsys.readouterr().err
    assert f"srnet: error: {path} cannot be used" in error
    assert "move it away" in error
    assert "Traceback" not in error


def test_start_that_fails_is_no_exit_code_3(tmp_path: Path, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("server.service.Service.start", fail)
    with pytest.raises(SetupError, match="could not start"):
        run(Settings(data_dir=tmp_path, port=0), {})


@pytest.mark.parametrize("status", [500, 503])
def test_key_of_a_job_that_the_service_failed_starts_anew(tmp_path: Path, status: int) -> None:
    with served(tmp_path) as server:
        headers = {"idempotency-key": "k"}
        first = ended(server, make(server, picture(), **headers))
        store = server.app.state.jobs._line.store
        broken = store.find(first["id"])
        changes = {"state": "failed", "output": None, "error": {"status": status}}
        store.change(type(broken)(**{**vars(broken), **changes}))
        second = ended(server, make(server, picture(), **headers))
        assert second["id"] != first["id"]
        assert second["state"] == "done"
        assert server.client.get(f"/v1/jobs/{first['id']}").json()["state"] == "failed"
        assert make(server, picture(), **headers).json()["id"] == second["id"]


def test_key_of_a_picture_that_is_damaged_does_not(tmp_path: Path) -> None:
    data = picture(60, 60)
    with served(tmp_path) as server:
        headers = {"idempotency-key": "k"}
        first = ended(server, make(server, data[: len(data) // 2], **headers))
        assert first["state"] == "failed"
        again = make(server, data[: len(data) // 2], **headers)
        assert again.json()["id"] == first["id"]


def test_empty_key_is_refused(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        refused = make(server, picture(), **{"idempotency-key": ""})
        told = problem(refused, 422, "bad-parameter")
        assert told == "idempotency-key must not be empty: leave it out, or give it a value"


def test_time_in_the_line_is_told_of_jobs_too(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        server.engine.hold()
        answers = [make(server, picture()) for _ in "12"]
        until(lambda: server.engine.batches)
        time.sleep(0.05)
        server.engine.let_go()
        last = ended(server, answers[1])
        result = server.client.get(f"/v1/jobs/{last['id']}/result")
        stages = dict(part.split(";dur=") for part in result.headers["server-timing"].split(", "))
        assert list(stages) == ["queue", "decode", "network", "check", "encode"]
        assert float(stages["queue"]) >= 50
        assert last["seconds"] * 1000 < sum(map(float, stages.values())) - 49
        count = 'srnet_stage_seconds_count{stage="queue"} 2.0'
        until(lambda: count in server.client.get("/metrics").text)
