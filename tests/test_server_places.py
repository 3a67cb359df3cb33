"""Who waits for whom between the first byte of a picture and its place in a line."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import server.service
from server.work import inspect
from tests.serving import Served, in_thread, location, picture, problem, served, until

SLOW = picture(30, 30)  # whose header takes as long as the test wants


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Set once headers of ``SLOW`` may be read."""
    free = threading.Event()

    def slow(task: Any) -> Any:
        if task.data() == SLOW:
            assert free.wait(60)
        return inspect(task)

    monkeypatch.setattr(server.service, "inspect", slow)
    yield free
    free.set()


def post(running: Served, data: bytes, path: str = "/v1/jobs", **headers: str) -> Any:
    return running.client.post(path, content=data, headers=headers)


def test_job_does_not_wait_for_a_header_that_takes_long(
    tmp_path: Path, looked_at: threading.Event
) -> None:
    with served(tmp_path) as running:
        thread, slow = in_thread(lambda: post(running, SLOW))
        until(lambda: running.service.uploads.count == 1)
        assert post(running, picture()).status_code == 202
        assert not slow
        looked_at.set()
        thread.join()
        assert slow[0].status_code == 202


def test_one_key_makes_one_job_whatever_takes_long(
    tmp_path: Path, looked_at: threading.Event
) -> None:
    key = {"Idempotency-Key": "one"}
    with served(tmp_path) as running:
        both = [in_thread(lambda: post(running, SLOW, **key)) for _ in range(2)]
        until(lambda: running.service.uploads.count == 2)
        looked_at.set()
        for thread, _ in both:
            thread.join()
        first, second = (location(answers[0]) for _, answers in both)
        assert first == second


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/upscale"])
def test_picture_keeps_its_place_until_it_is_admitted(
    tmp_path: Path, looked_at: threading.Event, path: str
) -> None:
    with served(tmp_path, uploads=1, running=1, waiting=1) as running:
        running.engine.hold()
        before, _ = in_thread(lambda: post(running, picture(), "/v1/upscale"))
        until(lambda: running.service.gate.full)
        assert running.service.uploads.count == 0  # it has another place since
        thread, answers = in_thread(lambda: post(running, SLOW, path))
        until(lambda: running.service.uploads.count == 1)
        problem(post(running, picture()), 503, "busy")
        looked_at.set()
        until(lambda: running.service.uploads.count == 0)
        running.engine.let_go()
        thread.join()
        before.join()
        assert answers[0].is_success
        assert not running.spooled()


def test_full_line_is_told_before_the_upload_unless_the_key_has_a_job(tmp_path: Path) -> None:
    def answer(key: str) -> bytes:
        head = f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nIdempotency-Key: {key}\r\n"
        with socket.create_connection(("127.0.0.1", running.port), timeout=60) as client:
            client.sendall(f"{head}Content-Length: {len(picture())}\r\n\r\n".encode())
            if key == "old":
                client.sendall(picture())
            return client.recv(12)

    with served(tmp_path, jobs_waiting=1, jobs_running=1) as running:
        running.engine.hold()
        first = location(post(running, picture()))
        until(lambda: running.client.get(first).json()["state"] == "running")
        post(running, picture(), **{"Idempotency-Key": "old"})
        assert answer("new") == b"HTTP/1.1 429"
        assert answer("old") == b"HTTP/1.1 202"
