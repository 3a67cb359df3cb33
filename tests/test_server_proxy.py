"""Behind a proxy: another Host, a path before ours, connections that are kept for later."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from server import main
from server.settings import Settings
from tests.serving import Served, picture, problem, served

OWN = "https://pictures.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("data")) as running:
        yield running


def sent(server: Served, origin: str, host: str, site: str | None) -> Any:
    headers = {"origin": origin, "host": host}
    headers |= {} if site is None else {"sec-fetch-site": site}
    return server.client.post("/v1/upscale", content=picture(), headers=headers)


@pytest.mark.parametrize(
    ("origin", "host", "site"),
    [
        (OWN, "127.0.0.1:8101", "same-origin"),  # nginx, if it is told nothing
        (OWN, "pictures.example:443", None),
        ("http://pictures.example", "pictures.example:80", None),
        ("https://pictures.example:8443", "pictures.example:8443", None),
        (OWN, "pictures.example", "same-origin"),
    ],
)
def test_its_own_page_may_use_it(server: Served, origin: str, host: str, site: str | None) -> None:
    assert sent(server, origin, host, site).is_success


@pytest.mark.parametrize("site", [None, "", "cross-site", "same-site", "none", "Same-Origin, x"])
@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (OWN, "127.0.0.1:8101"),
        (OWN, "pictures.example:80"),
        ("http://pictures.example", "pictures.example:443"),
        ("http://pictures.example:8443", "pictures.example"),
        ("https://other.pictures.example", "pictures.example"),
        ("null", "null"),
    ],
)
def test_other_pages_may_not(server: Served, origin: str, host: str, site: str | None) -> None:
    told = problem(sent(server, origin, host, site), 403, "forbidden-origin")
    assert "SRNET_CORS_ORIGINS" in told
    assert "proxy_set_header Host $http_host" in told


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_the_job_is_found_under_a_path_of_the_proxy(server: Served, method: str) -> None:
    answer = server.client.request(method, "/v1/jobs?scale=2", content=picture())
    address = urljoin(f"{OWN}/srnet/v1/jobs?scale=2", answer.headers["location"])
    assert address == f"{OWN}/srnet/v1/jobs/{answer.json()['id']}"


def test_the_interface_is_found_under_a_path_of_the_proxy(server: Served) -> None:
    document = server.client.get("/openapi.json").json()
    (there,) = document["servers"]
    assert urljoin(f"{OWN}/srnet/openapi.json", there["url"]) == f"{OWN}/srnet/"


def asked(client: socket.socket, path: str = "/v1/models") -> bytes:
    """The status of an answer, over a connection that stays."""
    client.sendall(f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += client.recv(1000)
    return answer[9:12]


def test_idle_connections_make_way_in_the_order_of_their_silence(tmp_path: Path) -> None:
    with served(tmp_path, connections=3) as server, ExitStack() as stack:
        server.client.close()  # it has a connection too
        address = ("127.0.0.1", server.port)

        def connected() -> socket.socket:
            return stack.enter_context(socket.create_connection(address, timeout=60))

        one, two, busy = connected(), connected(), connected()
        assert [asked(one), asked(two), asked(one)] == [b"200"] * 3
        busy.sendall(b"POST /v1/upscale HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        assert asked(connected()) == b"200"
        assert two.recv(1) == b""
        assert asked(one) == b"200"
        busy.sendall(b"nonsense!")
        assert busy.recv(12).endswith(b"415")


def test_connections_are_kept_longer_than_proxies_keep_theirs(tmp_path: Path, monkeypatch) -> None:
    kept = []

    class Seen(main.Server):
        def run(self, sockets: Any = None) -> None:
            kept.append(self.config.timeout_keep_alive)

    monkeypatch.setattr(main, "Server", Seen)
    settings = Settings(data_dir=tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        main._serve(main.create_app(settings, {}), listener, settings)
    assert kept[0] > 60
