"""API keys and web origins."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.serving import Served, picture, problem, served

ORIGIN = "https://pictures.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("data")
    with served(folder, api_keys="one, two", cors_origins=ORIGIN) as running:
        yield running


WRONG = [
    {},
    {"x-api-key": "three"},
    {"authorization": "Bearer x"},
    {"authorization": "Basic b25l"},
    {"x-api-key": ""},
    {"x-api-key": "one, two"},
    {"x-api-key": b"\xff\xfe"},
]


@pytest.mark.parametrize("headers", WRONG, ids=str)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/upscale"),
        ("POST", "/v1/residual"),
        ("POST", "/v1/jobs"),
        ("GET", "/v1/jobs/x"),
        ("GET", "/v1/jobs/x/events"),
        ("GET", "/v1/jobs/x/result"),
        ("DELETE", "/v1/jobs/x"),
        ("GET", "/v1/models"),
        ("GET", "/metrics"),
    ],
)
def test_without_a_valid_key(server: Served, method: str, path: str, headers: dict) -> None:
    answer = server.client.request(method, path, headers=headers)
    problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer one"},
        {"authorization": "bearer two"},
        {"x-api-key": "two"},
        {"authorization": "Bearer wrong", "x-api-key": "two"},
        {"authorization": "Basic b25l", "x-api-key": "two"},
        {"authorization": "Bearer two", "x-api-key": "wrong"},
    ],
)
def test_with_a_key(server: Served, headers: dict) -> None:
    assert server.client.post("/v1/upscale", content=picture(), headers=headers).is_success
    assert server.client.get("/metrics", headers=headers).is_success


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/", "/docs", "/openapi.json"])
def test_open_without_a_key(server: Served, path: str) -> None:
    assert server.client.get(path).status_code == 200


def test_jobs_of_one_key_are_hidden_from_another(server: Served) -> None:
    one, two = {"x-api-key": "one"}, {"x-api-key": "two"}
    headers = {**one, "idempotency-key": "k"}
    job = server.client.post("/v1/jobs", content=picture(), headers=headers).json()
    address = f"/v1/jobs/{job['id']}"
    assert server.client.get(address, headers=one).is_success
    for path in (address, f"{address}/result", f"{address}/events"):
        problem(server.client.get(path, headers=two), 404, "not-found")
    problem(server.client.delete(address, headers=two), 404, "not-found")
    headers = {**two, "idempotency-key": "k"}
    other = server.client.post("/v1/jobs", content=picture(), headers=headers).json()
    assert other["id"] != job["id"]


def test_listed_origin_may_call(server: Served) -> None:
    headers = {"origin": ORIGIN, "access-control-request-method": "POST"}
    allowed = server.client.options("/v1/upscale", headers=headers)
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    headers["origin"] = "https://other.example"
    refused = server.client.options("/v1/upscale", headers=headers)
    problem(refused, 403, "forbidden-origin")
    assert "access-control-allow-origin" not in refused.headers
    headers = {"origin": ORIGIN, "access-control-request-method": "PATCH"}
    refused = server.client.options("/v1/upscale", headers=headers)
    assert "HEAD" in problem(refused, 400, "malformed-request")


def test_refusals_at_the_door_are_seen_by_listed_origins(tmp_path, monkeypatch) -> None:
    def fail(_: object) -> str:
        raise RuntimeError("for the test")

    with served(tmp_path, cors_origins=ORIGIN, hosts="localhost") as server:
        for origin, told in ((ORIGIN, ORIGIN), ("https://other.example", None)):
            headers = {"host": "other.example", "origin": origin}
            refused = server.client.get("/v1/models", headers=headers)
            problem(refused, 421, "unknown-host")
            assert refused.headers.get("access-control-allow-origin") == told
        monkeypatch.setattr("server.routes_service.service_of", fail)
        headers = {"host": "localhost", "origin": ORIGIN}
        failed = server.client.get("/v1/models", headers=headers)
        problem(failed, 500, "internal")
        assert failed.headers["access-control-allow-origin"] == ORIGIN
        assert "access-control-allow-origin" not in server.client.get("/nothing").headers


def test_origins_are_off_by_default(tmp_path) -> None:
    with served(tmp_path) as server:
        headers = {"origin": ORIGIN, "access-control-request-method": "POST"}
        answer = server.client.options("/v1/upscale", headers=headers)
        assert "access-control-allow-origin" not in answer.headers
        own = {"origin": f"http://127.0.0.1:{server.port}"}
        assert server.client.post("/v1/upscale", content=picture(), headers=own).is_success
        foreign = server.client.post("/v1/upscale", content=picture(), headers={"origin": ORIGIN})
        problem(foreign, 403, "forbidden-origin")


def test_only_listed_host_names_are_served(tmp_path) -> None:
    with served(tmp_path, hosts="localhost, pictures.example, [::1]") as server:
        for host in ("localhost", "LOCALHOST:80", "pictures.example:8000", "[::1]:8000", "[::1]"):
            assert server.client.get("/v1/models", headers={"host": host}).is_success
        for host in ("evil.example", "localhost.evil.example", "127.0.0.1", ""):
            headers = {"host": host, "origin": f"http://{host}"}
            refused = server.client.post("/v1/upscale", content=picture(), headers=headers)
            problem(refused, 421, "unknown-host")
            assert server.client.get("/livez", headers={"host": host}).is_success
        for host, status in (("localhost", b"200"), ("evil.example", b"421")):
            assert asked_as_a_proxy(server, f"http://{host}/v1/models?x=1") == status
        for form in ("HTTP://x", "http://x/", "https://x:80/livez?a"):
            expected = b"200" if "livez" in form else b"421"
            assert asked_as_a_proxy(server, form) == expected


def asked_as_a_proxy(server: Served, target: str) -> bytes:
    """The status of an answer to a request in absolute form, which the header Host contradicts."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return client.recv(1000)[9:12]
