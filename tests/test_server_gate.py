"""Admission, limits and the end: refused at once, stopped within a batch, never in the way."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import socket
import threading
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from server.blobs import CHUNK, Blob, Download
from server.gate import Gate
from server.problems import Problem
from server.work import Task, inspect
from srnet.image import Header
from tests.serving import Served, in_thread, location, opened, picture, problem, served, until


def post(server: Served, data: bytes | None = None, query: str = ""):
    data = picture() if data is None else data
    return in_thread(lambda: server.client.post(f"/v1/upscale?{query}", content=data))


def test_gate_lets_through_in_order_and_refuses_the_rest() -> None:
    async def scene() -> None:
        gate, order = Gate(1, 2), []

        async def visit(name: str) -> None:
            await gate.enter()
            order.append(name)

        await gate.enter()
        visits = [asyncio.create_task(visit(name)) for name in "ab"]
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="queue-full"):
            await gate.enter()
        gate.leave(1.0)
        await asyncio.sleep(0)
        gate.leave(1.0)
        await asyncio.gather(*visits)
        assert order == ["a", "b"]
        gate.leave()
        assert (gate.running, gate.waiting) == (0, 0)

    asyncio.run(scene())


@pytest.mark.parametrize("served_first", [False, True])
def test_gate_loses_no_place_when_a_visitor_gives_up(served_first: bool) -> None:
    async def scene() -> None:
        gate = Gate(1, 5)
        await gate.enter()
        impatient = asyncio.create_task(gate.enter())
        patient = asyncio.create_task(gate.enter())
        await asyncio.sleep(0)
        if served_first:
            gate.leave()
        impatient.cancel()
        if not served_first:
            gate.leave()
        await asyncio.wait_for(patient, 1)
        gate.leave()
        assert (gate.running, gate.waiting) == (0, 0)

    asyncio.run(scene())


def test_full_line_is_refused_and_health_is_not_in_it(tmp_path: Path) -> None:
    with served(tmp_path, running=1, waiting=1) as server:
        server.engine.hold()
        first = post(server)
        until(lambda: server.service.gate.running == 1)
        second = post(server)
        until(lambda: server.service.gate.waiting == 1)
        refused = server.client.post("/v1/upscale", content=picture())
        problem(refused, 429, "queue-full")
        assert int(refused.headers["retry-after"]) >= 1
        for path in ("/livez", "/readyz", "/metrics", "/v1/models", "/"):
            assert server.client.get(path).status_code == 200
        assert 'srnet_queue_depth{kind="requests"} 1.0' in server.client.get("/metrics").text
        server.engine.let_go()
        for thread, results in (first, second):
            thread.join()
            assert results[0].status_code == 200


def test_few_of_those_that_wait_are_in_memory(tmp_path: Path, monkeypatch) -> None:
    begun, free = threading.Semaphore(0), threading.Event()

    def slowly(task: Task) -> Header:
        begun.release()
        assert free.wait(60)
        return inspect(task)

    monkeypatch.setattr("server.service.inspect", slowly)
    with served(tmp_path, running=1) as server:
        server.engine.hold()
        calls = [post(server)]
        until(lambda: server.service.gate.full)
        calls += [post(server) for _ in range(5)]
        for _ in "12":
            assert begun.acquire(timeout=60)
        assert not begun.acquire(timeout=0.3)
        assert server.service.gate.waiting == 0
        free.set()
        until(lambda: server.service.gate.waiting == 5)
        server.engine.let_go()
        for thread, results in calls:
            thread.join()
            assert results[0].is_success


def test_small_picture_passes_between_the_tiles_of_a_large_job(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        server.engine.hold()
        job = server.client.post("/v1/jobs", content=picture(600, 600)).json()
        until(lambda: server.engine.batches == 1)
        thread, results = post(server)
        until(lambda: len(server.engine._turnstile._waiting) == 1)
        server.engine.let_go(2)
        thread.join(60)
        assert results[0].status_code == 200
        state = server.client.get(f"/v1/jobs/{job['id']}").json()
        assert state["state"] == "running"


def test_client_that_goes_away_stops_its_work(tmp_path: Path) -> None:
    with served(tmp_path, running=1) as server:
        server.engine.hold()
        data = picture(300, 300)
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            head = f"POST /v1/upscale HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
            client.sendall(head.encode() + data)
            until(lambda: server.engine.batches == 1)
        until(lambda: any(stop.asked for stop in list(server.service._active)))
        server.engine.let_go(1)
        until(lambda: server.service.gate.running == 0)
        assert server.engine.batches == 1
        until(lambda: 'status="499"' in server.client.get("/metrics").text)
        server.engine.let_go()
        assert server.client.post("/v1/upscale", content=picture()).is_success


def test_client_that_goes_away_leaves_the_line(tmp_path: Path) -> None:
    with served(tmp_path, running=1) as server:
        server.engine.hold()
        thread, _ = post(server)
        until(lambda: server.engine.batches == 1)
        data = picture()
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            head = f"POST /v1/upscale HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
            client.sendall(head.encode() + data)
            until(lambda: server.service.gate.waiting == 1)
        until(lambda: server.service.gate.waiting == 0)
        server.engine.let_go()
        thread.join()


def test_receiver_that_takes_nothing_is_given_up(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1600, 1600, 3), np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(noise).save(file, "BMP")
    data = file.getvalue()
    with served(tmp_path, stall_seconds=0.1) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        client.sendall(b"POST /v1/upscale?width=1599&format=tiff HTTP/1.1\r\nHost: x\r\n")
        client.sendall(b"Content-Length: %d\r\n\r\n" % len(data) + data)
        assert client.recv(12) == b"HTTP/1.1 200"
        count = 'srnet_requests_total{method="POST",route="/v1/upscale",status="200"} 1.0'
        until(lambda: count in server.client.get("/metrics").text)
        assert not server.spooled()


@pytest.mark.parametrize("last", ["http.response.start", "http.response.body"])
def test_files_are_closed_when_sending_fails(tmp_path: Path, last: str) -> None:
    (tmp_path / "long").write_bytes(bytes(3 * CHUNK))
    blob = Blob(3 * CHUNK, path=tmp_path / "long")

    async def receive() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == last:
            raise ClientDisconnect

    async def scene() -> None:
        file = await blob.take()
        response = Download(file, 0, blob.size, 200, {}, "image/png")
        with pytest.raises(ClientDisconnect):
            await response({"type": "http", "asgi": {}}, receive, send)
        assert file.closed

    asyncio.run(scene())
    assert not list(tmp_path.iterdir())


def test_time_limit(tmp_path: Path) -> None:
    with served(tmp_path, time_limit=0.1, running=1) as server:
        server.engine.hold()
        detail = problem(server.client.post("/v1/upscale", content=picture()), 504, "time-limit")
        assert "/v1/jobs" in detail
        # The thread has not ended: its place stays taken, so that memory stays bounded.
        assert server.service.gate.running == 1
        problem(server.client.post("/v1/upscale", content=picture()), 504, "time-limit")
        server.engine.let_go(1)
        until(lambda: server.service.gate.running == 0)


def test_draining_refuses_new_work_and_ends_the_old(tmp_path: Path) -> None:
    with served(tmp_path, grace_seconds=0.2) as server:
        loop = server.service._loop
        server.engine.hold()
        thread, results = post(server, picture(100, 100))
        until(lambda: server.engine.batches == 1)
        loop.call_soon_threadsafe(server.service.begin_drain)
        until(lambda: server.client.get("/readyz").status_code == 503)
        problem(server.client.get("/readyz"), 503, "not-ready")
        problem(server.client.post("/v1/upscale", content=picture()), 503, "not-ready")
        problem(server.client.post("/v1/jobs", content=picture()), 503, "not-ready")
        assert server.client.get("/livez").status_code == 200
        until(lambda: all(stop.asked for stop in list(server.service._active)))
        server.engine.let_go(1)
        thread.join()
        problem(results[0], 503, "not-ready")
        assert server.engine.batches == 1


def test_not_ready_before_a_tile_was_run(tmp_path: Path, monkeypatch) -> None:
    from server.service import Service

    free = threading.Event()
    warm_up = Service._run_one_tile_each

    def slowly(self: Service) -> None:
        free.wait(10)
        warm_up(self)

    monkeypatch.setattr(Service, "_run_one_tile_each", slowly)
    with served(tmp_path, wait=False) as server:
        assert server.client.get("/livez").status_code == 200
        refused = server.client.get("/readyz")
        problem(refused, 503, "not-ready")
        assert refused.headers["retry-after"] == "2"
        problem(server.client.post("/v1/upscale", content=picture()), 503, "not-ready")
        free.set()
        until(lambda: server.client.get("/readyz").status_code == 200)


def test_many_at_once_all_get_an_answer(tmp_path: Path) -> None:
    with served(tmp_path, waiting=50) as server:
        calls = [post(server, picture(40 + i, 40)) for i in range(30)]
        for i, (thread, results) in enumerate(calls):
            thread.join(20)
            assert opened(results[0].content).size == (80 + 2 * i, 80)
        assert not server.spooled()


def test_streams_have_an_end(tmp_path: Path) -> None:
    with served(tmp_path, streams=2) as server:
        server.engine.hold()
        job = location(server.client.post("/v1/jobs", content=picture()))
        stream = functools.partial(server.client.stream, "GET", f"{job}/events")
        with stream() as first, stream() as second:
            assert (first.status_code, second.status_code) == (200, 200)
            refused = server.client.get(f"{job}/events")
            problem(refused, 503, "busy")
            assert int(refused.headers["retry-after"]) > 0
            assert server.client.get(job).is_success
        until(lambda: server.app.state.jobs._streams == 0)
        assert server.client.head(f"{job}/events").is_success
        until(lambda: server.app.state.jobs._streams == 0)


def test_connections_beyond_the_limit_are_told_their_health_only(tmp_path: Path) -> None:
    address = "127.0.0.1"
    with served(tmp_path, connections=4) as server, contextlib.ExitStack() as stack:
        for _ in range(4):
            silent = socket.create_connection((address, server.port))
            stack.enter_context(silent)
        refused = server.client.get("/v1/models")
        problem(refused, 503, "busy")
        assert refused.headers["connection"] == "close"
        assert int(refused.headers["retry-after"]) > 0
        for path in ("/livez", "/readyz"):
            assert server.client.get(path).is_success
        stack.close()
        until(lambda: server.client.get("/v1/models").is_success)
