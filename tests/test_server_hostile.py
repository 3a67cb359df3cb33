"""Requests that are made to hurt: each costs the service little, and is told what is wrong."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

from server.prompt import prompt
from server.settings import Settings
from tests.serving import Served, picture, problem, served, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("data"), api_keys="key") as running:
        running.client.headers["x-api-key"] = "key"
        yield running


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("&".join(map(str, range(30))), "There are 30 parameters: at most 14 are known"),
        ("scale=2" + 2000 * "&a", "There are 2001 parameters"),
        ("scale=2&" + 2 * (100 * "x" + "&"), 40 * "x" + " is there more than once"),
    ],
)
def test_many_parameters_are_not_looked_at(server: Served, query: str, says: str) -> None:
    answer = server.client.post(f"/v1/upscale?{query}")
    assert says in problem(answer, 422, "bad-parameter")
    assert "errors" not in answer.json()


def test_a_long_name_is_neither_searched_nor_quoted(server: Served) -> None:
    answer = server.client.post(f"/v1/upscale?{5000 * 'x'}=1")
    assert f"{40 * 'x'} is not a parameter; there" in problem(answer, 422, "bad-parameter")
    assert answer.json()["errors"][0]["where"] == 40 * "x"


@pytest.mark.parametrize("path", ["/v1/upscale", "/v1/residual", "/v1/jobs"])
def test_without_a_key_nothing_else_is_looked_at(server: Served, path: str) -> None:
    for query in ("colour=1", "scale=2&scale=3", 100 * "&a"):
        wrong = {"x-api-key": "wrong"}
        answer = server.client.post(f"{path}?{query}", headers=wrong)
        problem(answer, 401, "unauthorized")


def test_a_connection_has_its_turn_and_no_more(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[int] = []
    look_at = H11Protocol.data_received

    def counted(self: H11Protocol, data: bytes) -> None:
        pieces.append(len(data))
        look_at(self, data)

    monkeypatch.setattr(H11Protocol, "data_received", counted)
    data = picture(300, 300, "BMP")
    chunks = (data[at : at + 10] for at in range(0, len(data), 10))
    assert server.client.post("/v1/upscale?format=png", content=chunks).is_success
    assert sum(pieces) > 1.3 * len(data)
    assert max(pieces) <= 8192


def test_long_heads_are_refused_however_they_come(server: Served) -> None:
    assert server.client.get("/livez", headers={"x-long": 30_000 * "a"}).is_success
    problem(server.client.get("/livez", headers={"x-long": 45_000 * "a"}), 400, "malformed-request")


def test_what_is_not_taken_holds_no_place(tmp_path: Path) -> None:
    request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    with served(tmp_path, connections=1, stall_seconds=0.3) as server, socket.socket() as stuck:
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", server.port))
        stuck.sendall(150 * request)  # several megabytes of answers: no kernel keeps so much
        until(lambda: server.client.get("/v1/models").is_success, 20)


class Taken:
    """A connection of which so much is still to be taken at each look."""

    def __init__(self, *left: int) -> None:
        self.left = list(left)
        self.aborted = False

    def get_write_buffer_size(self) -> int:
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]

    def get_extra_info(self, name: str) -> None:
        assert name == "socket"  # it has none, so that the kernel holds nothing

    def abort(self) -> None:
        self.aborted = True


def test_who_takes_little_but_steadily_is_not_cut_off() -> None:
    async def looked(seconds: float) -> Taken:
        waiting = object.__new__(prompt(Settings()))
        waiting.seconds, waiting.loop = 0.05, asyncio.get_running_loop()
        waiting.transport, waiting.client = Taken(90, 60, 30, 30), None
        waiting._wait_for(100)
        await asyncio.sleep(seconds)
        waiting._taken()
        return waiting.transport

    assert not asyncio.run(looked(0.12)).aborted
    assert asyncio.run(looked(0.4)).aborted


def test_nonsense_after_the_answer_is_no_failure(
    server: Served, caplog: pytest.LogCaptureFixture
) -> None:
    head = b"POST /v1/upscale HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(head)
        assert client.recv(1000).startswith(b"HTTP/1.1 401")
        client.sendall(b"nonsense\r\n")
        while client.recv(1000):
            pass
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_methods_that_nobody_knows_make_no_labels(server: Served) -> None:
    for method in ("BREW", "WHEN", "PATCH"):
        problem(server.client.request(method, "/livez"), 405, "method-not-allowed")
    text = server.client.get("/metrics").text
    assert 'srnet_requests_total{method="other",route="/livez",status="405"} 2.0' in text
    assert 'srnet_requests_total{method="PATCH",route="/livez",status="405"} 1.0' in text
