"""Health, models, metrics, headers, the page and its documentation."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import fields

import pytest

from srnet.card import Card
from tests.serving import Served, picture, problem, served, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("data")) as running:
        yield running


def test_health_and_readiness(server: Served) -> None:
    assert server.client.get("/livez").text == "ok\n"
    assert server.client.get("/readyz").text == "ok\n"
    for path in ("/livez", "/readyz", "/"):  # what probes and proxies ask
        answer = server.client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


def test_models_are_the_cards(server: Served) -> None:
    (card,) = server.client.get("/v1/models").json()
    assert card["family"] == "fake"
    assert card["scale"] == 2
    assert card.keys() == {field.name for field in fields(Card)} | {"family", "scale", "engine"}
    assert card["engine"] == "held float32"


def test_metrics_count_work_and_refusals(server: Served) -> None:
    server.client.post("/v1/upscale", content=picture(100, 100))
    server.client.post("/v1/upscale", content=b"nothing")
    text = server.client.get("/metrics").text
    for line in (
        'srnet_requests_total{method="POST",route="/v1/upscale",status="200"} 1.0',
        'srnet_requests_total{method="POST",route="/v1/upscale",status="415"} 1.0',
        'srnet_rejected_total{reason="not-a-picture"} 1.0',
        'srnet_megapixels_total{direction="in"} 0.01',
        'srnet_megapixels_total{direction="out"} 0.04',
        'srnet_stage_seconds_count{stage="queue"} 1.0',
        'srnet_stage_seconds_count{stage="network"} 1.0',
        'srnet_in_progress{kind="requests"} 0.0',
        'srnet_queue_depth{kind="requests"} 0.0',
        'srnet_queue_depth{kind="jobs"} 0.0',
        "process_resident_memory_bytes",
    ):
        assert line in text


def test_paths_that_do_not_exist_make_no_labels(server: Served) -> None:
    for path in ("/some/thing", "/v2/upscale"):
        problem(server.client.get(path), 404, "not-found")
    assert "/some" not in server.client.get("/metrics").text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/upscale", "POST, PUT"),
        ("PATCH", "/v1/jobs/abc", "GET, HEAD, DELETE"),
        ("POST", "/livez", "GET, HEAD"),
        ("PUT", "/app.js", "GET, HEAD"),
    ],
)
def test_wrong_method(server: Served, method: str, path: str, allowed: str) -> None:
    answer = server.client.request(method, path)
    told = problem(answer, 405, "method-not-allowed")
    assert allowed.replace(", ", " or ") in told
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",  # no Host
        b"GET /livez HTTP/1.1\r\nHost: x\r\nA bad header: y\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS begins so
        b"GET /" + 100_000 * b"a",
    ],
)
def test_what_is_no_http_gets_a_problem_too(server: Served, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(sent)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        told = json.loads(answer.read())
    assert (answer.status, told["status"]) == (400, 400)
    assert answer.headers["content-type"] == "application/problem+json"
    assert told["type"] == "/docs#malformed-request"
    assert told["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [(b"", "Missing mandatory Host: header"), (b"X-API-Key : secret\r\n", "illegal header line")],
)
def test_what_is_no_http_is_logged_and_counted(
    tmp_path, caplog: pytest.LogCaptureFixture, line: bytes, reason: str
) -> None:
    caplog.set_level("INFO", "srnet.server")
    with served(tmp_path) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\n" + line + b"\r\n")
            answer = http.client.HTTPResponse(connection)
            answer.begin()
        text = server.client.get("/metrics").text
    assert 'srnet_requests_total{method="none",route="none",status="400"} 1.0' in text
    assert 'srnet_rejected_total{reason="malformed-request"} 1.0' in text
    request_id = answer.headers["x-request-id"]
    assert f"no request from 127.0.0.1 ({reason}) 400 {request_id}" in caplog.messages
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "path", ["/", "/app.js", "/docs", "/openapi.json", "/metrics", "/v1/models", "/v1/jobs/ID"]
)
def test_head_works_wherever_get_does(server: Served, path: str) -> None:
    job = server.client.post("/v1/jobs", content=picture()).json()
    path = path.replace("ID", job["id"])
    got, head = server.client.get(path), server.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    for part in ("events", "result") if job["id"] in path else ():
        until(lambda: server.client.get(path).json()["state"] == "done")
        head = server.client.head(f"{path}/{part}")
        assert (head.status_code, head.content) == (200, b"")
    problem(server.client.get("/v1/jobs/nope"), 404, "not-found")
    assert server.client.head("/v1/jobs/nope").status_code == 404
    assert server.client.head("/v1/upscale").headers["allow"] == "POST, PUT"


@pytest.mark.parametrize("wanted", ["bytes=abc", "bytes=999999-", "bytes=0-3"])
@pytest.mark.parametrize("path", ["/", "/app.js"])
def test_ranges_of_the_page_are_ignored(server: Served, path: str, wanted: str) -> None:
    answer = server.client.get(path, headers={"range": wanted})
    assert answer.status_code == 200
    assert answer.content == server.client.get(path).content


@pytest.mark.parametrize("path", ["/", "/app.js", "/docs.css"])
def test_what_the_browser_has_is_not_sent_again(server: Served, path: str) -> None:
    tag = server.client.get(path).headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = server.client.get(path, headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["cache-control"] == "no-cache"
    assert server.client.get(path, headers={"if-none-match": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/upscale/"), ("GET", "/livez/"), ("GET", "/v1/models/")]
)
def test_slash_at_the_end_is_another_address(server: Served, method: str, path: str) -> None:
    problem(server.client.request(method, path), 404, "not-found")


@pytest.mark.parametrize("given", ["abc-1.2_Z", "x" * 64])
def test_request_id_is_echoed(server: Served, given: str) -> None:
    answer = server.client.get("/livez", headers={"x-request-id": given})
    assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "<script>"])
def test_request_id_that_is_unsafe_is_replaced(server: Served, given: str) -> None:
    answer = server.client.get("/livez", headers={"x-request-id": given})
    assert len(answer.headers["x-request-id"]) == 32


@pytest.mark.parametrize("path", ["/", "/app.js", "/docs", "/docs.css", "/v1/models", "/nothing"])
def test_security_headers_are_everywhere(server: Served, path: str) -> None:
    headers = server.client.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


@pytest.mark.parametrize("path", ["/..%2fapp.py", "/%2e%2e/settings.py", "/__init__.py", "/web"])
def test_only_the_files_of_the_page_are_served(server: Served, path: str) -> None:
    problem(server.client.get(path), 404, "not-found")


def test_page_and_documentation_need_nothing_from_elsewhere(server: Served) -> None:
    for path in ("/", "/docs"):
        page = server.client.get(path)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        for foreign in ('src="http', 'href="http', "src='http", 'src="//', "<style", "<script>"):
            assert foreign not in page.text


def test_documentation_explains_each_kind_of_problem(server: Served) -> None:
    page = server.client.get("/docs").text
    document = server.client.get("/openapi.json").json()
    for address in document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]:
        assert f'id="{address.removeprefix("/docs#")}"' in page
    assert "/v1/jobs/{job_id}/events" in page


def test_openapi_tells_of_bodies_and_errors(server: Served) -> None:
    document = server.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    post = document["paths"]["/v1/upscale"]["post"]
    body = post["requestBody"]["content"]
    assert body["multipart/form-data"]["schema"]["required"] == ["file"]
    assert "image/jpeg" in body
    expected = [
        "200",
        "400",
        "401",
        "403",
        "405",
        "408",
        "413",
        "415",
        "422",
        "429",
        "500",
        "503",
        "504",
    ]
    assert list(post["responses"]) == expected
    assert "WWW-Authenticate" in post["responses"]["401"]["headers"]
    result = document["paths"]["/v1/jobs/{job_id}/result"]["get"]["responses"]
    for told in (post["responses"]["429"], result["409"]):
        assert told["headers"]["Retry-After"]["schema"]["type"] == "integer"
    assert document["paths"]["/v1/upscale"]["put"]["responses"] == post["responses"]
    assert "image/webp" in post["responses"]["200"]["content"]
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    assert list(response["content"]) == ["application/problem+json"], path


def test_openapi_has_an_example_of_everything(server: Served) -> None:
    document = server.client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert {"405", "500"} <= operation["responses"].keys(), path
            for parameter in operation.get("parameters", []):
                assert parameter["schema"].get("examples"), (path, parameter["name"])
                assert parameter["description"], (path, parameter["name"])
            for status, response in operation["responses"].items():
                for name, header in response["headers"].items():
                    assert status >= "400" or "example" in header, (path, name)
                for media, content in response.get("content", {}).items():
                    told = "example" in content or content.get("examples")
                    assert told or media.startswith("image/"), (path, status, media)
    accepted = [p["name"] for p in document["paths"]["/v1/jobs"]["post"]["parameters"]]
    assert {"Accept", "idempotency-key"} <= set(accepted)
    models = document["paths"]["/v1/models"]["get"]["responses"]["200"]["content"]
    assert models["application/json"]["schema"]["items"] == {
        "$ref": "#/components/schemas/ModelCard"
    }
