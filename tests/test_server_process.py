"""The service as a process: settings, an orderly end, and kill -9 in the middle of a job."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from server.settings import Settings
from tests.serving import location, opened, picture, until

PROGRAM = """
import os, resource, sys, time
from server.main import run
from server.settings import Settings
from srnet.options import Options
from srnet.upscaler import Upscaler
from tests.serving import HeldEngine

class Slow(HeldEngine):
    def run(self, batches):
        for result in super().run(batches):
            time.sleep(0.02)
            yield result

if files := int(os.environ.get("FILES", 0)):
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
run(Settings(port=0), {"fake": Upscaler([Slow()], Options(tile=32, batch_pixels=1024))})
"""
ROOT = Path(__file__).parent.parent


class Process:
    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self._log = folder / "log"
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SRNET_")},
            "SRNET_DATA_DIR": str(folder / "data"),
            "SRNET_DRAIN_SECONDS": "0",
            **settings,
        }
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment, stderr=log
            )
        until(lambda: "ready: fake" in self.log)
        port = self.log.split("listening on http://127.0.0.1:")[1].split()[0]
        address = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=address, timeout=60)
        each = httpx.Limits(max_keepalive_connections=0)  # a connection for each request
        self.newcomer = httpx.Client(base_url=address, timeout=60, limits=each)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def make(self, data: bytes, headers: dict[str, str] | None = None) -> str:
        return location(self.client.post("/v1/jobs", content=data, headers=headers))

    def state(self, job: str) -> str:
        return self.client.get(job).json()["state"]


@contextmanager
def process(folder: Path, **settings: str) -> Iterator[Process]:
    running = Process(folder, **settings)
    try:
        yield running
    finally:
        running.client.close()
        running.newcomer.close()
        running.process.kill()
        running.process.wait()


def job_files(folder: Path) -> list[str]:
    return sorted(path.suffix for path in (folder / "data" / "jobs").iterdir())


def test_kill_in_the_middle_of_a_job_and_restart(tmp_path: Path) -> None:
    with process(tmp_path) as first:
        done = first.make(picture())
        until(lambda: first.state(done) == "done")
        headers = {"idempotency-key": "k"}
        job = first.make(picture(150, 150), headers=headers)
        queued = first.make(picture(30))
        until(lambda: first.client.get(job).json()["progress"] > 0)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        assert job_files(tmp_path) == [".input", ".input", ".result"]
    with process(tmp_path) as second:
        until(lambda: second.state(job) == "done")
        until(lambda: second.state(queued) == "done")
        assert opened(second.client.get(f"{job}/result").content).size == (300, 300)
        assert opened(second.client.get(f"{done}/result").content).size == (40, 28)
        assert second.make(picture(150, 150), headers=headers) == job
        assert job_files(tmp_path) == [".result"] * 3


def test_terminating_checkpoints_a_job_and_exits_0(tmp_path: Path) -> None:
    with process(tmp_path, SRNET_GRACE_SECONDS="0.5") as first:
        job = first.make(picture(400, 400))
        until(lambda: first.client.get(job).json()["progress"] > 0)
        start = time.monotonic()
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(60) == 0
        assert time.monotonic() - start < 3
        assert "Traceback" not in first.log
        assert job_files(tmp_path) == [".input"]
    with process(tmp_path) as second:
        assert second.state(job) in ("queued", "running")


def test_terminating_while_the_models_load_exits_0(tmp_path: Path) -> None:
    environment = {**os.environ, "SRNET_DATA_DIR": str(tmp_path), "SRNET_PORT": "0"}
    command = [sys.executable, "-m", "srnet", "serve"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    until((tmp_path / "lock").exists)
    process.terminate()
    assert process.wait(60) == 0


def test_terminating_during_an_upload_refuses_it_within_the_grace_period(tmp_path: Path) -> None:
    with process(tmp_path, SRNET_GRACE_SECONDS="3") as first:
        address = ("127.0.0.1", first.client.base_url.port)
        with socket.create_connection(address, timeout=60) as upload:
            head = "POST /v1/upscale HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\n"
            upload.sendall(f"{head}Content-Length: 100000\r\n\r\nabc".encode())
            until(lambda: "srnet_uploads 1.0" in first.client.get("/metrics").text)
            start = time.monotonic()
            first.process.send_signal(signal.SIGTERM)
            answer = http.client.HTTPResponse(upload)
            answer.begin()
            told = json.loads(answer.read())
        assert first.process.wait(60) == 0
        assert time.monotonic() - start < 3
        assert (answer.status, told["type"]) == (503, "/docs#not-ready")
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) > 0
        assert told["request_id"] == answer.headers["x-request-id"] == "mine"
        assert "Traceback" not in first.log


def test_readiness_is_seen_to_end_before_the_port_closes(tmp_path: Path) -> None:
    with process(tmp_path, SRNET_GRACE_SECONDS="60", SRNET_DRAIN_SECONDS="2") as first:
        job = first.make(picture())
        until(lambda: first.state(job) == "done")
        first.process.send_signal(signal.SIGTERM)
        until(lambda: first.newcomer.request("GET", "/readyz").status_code == 503)
        assert int(first.newcomer.request("GET", "/readyz").headers["retry-after"]) > 0
        for path in ("/v1/upscale", "/v1/jobs"):
            refused = first.newcomer.request("POST", path, content=picture())
            assert (refused.status_code, refused.json()["type"]) == (503, "/docs#not-ready")
            assert int(refused.headers["retry-after"]) > 0
        assert first.newcomer.request("GET", job).json()["state"] == "done"
        assert opened(first.newcomer.request("GET", f"{job}/result").content).size == (40, 28)
        assert first.process.wait(60) == 0
        assert "Traceback" not in first.log


def test_terminating_lets_a_request_finish(tmp_path: Path) -> None:
    with process(tmp_path) as first:
        times = [first.client.get("/livez").elapsed.total_seconds() for _ in range(10)]
        assert min(times) < 0.03  # Nagle's algorithm would hold each answer for 0.04
        with first.client.stream("GET", "/livez"):
            first.process.send_signal(signal.SIGTERM)
            assert first.process.wait(60) == 0


def test_connections_without_a_request_are_cut_off(tmp_path: Path) -> None:
    with process(tmp_path, SRNET_STALL_SECONDS="0.3") as first:
        address = ("127.0.0.1", first.client.base_url.port)
        request = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
        for said in ([b""], [request[:20]], [request, request[:20]]):
            with socket.create_connection(address, timeout=4) as client:
                for words in said[:-1]:
                    client.sendall(words)
                    while not client.recv(1000).endswith(b"ok\n"):
                        pass
                client.sendall(said[-1])
                # Keep-alive by itself would end it after a minute, or never.
                assert client.recv(1000) == b""
        with socket.create_connection(address, timeout=10) as client:
            data = picture()
            head = f"POST /v1/upscale HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
            client.sendall(head.encode())
            time.sleep(0.6)  # who is slow with the picture has SRNET_UPLOAD_SECONDS
            client.sendall(data)
            assert client.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize(
    ("files", "seen"),
    [(64, {b"200", b"503", b""}), (256, {b"200", b"503"})],  # of fewer files, some are cut off
)
def test_more_connections_than_files_break_nothing(
    tmp_path: Path, files: int, seen: set[bytes]
) -> None:
    with process(tmp_path, FILES=str(files)) as first, contextlib.ExitStack() as stack:
        job = first.make(picture(2000, 2000))
        ask = f"GET {job}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        address = (first.client.base_url.host, first.client.base_url.port)
        first.process.send_signal(signal.SIGSTOP)  # so that all of them are there at once
        followers = [stack.enter_context(socket.create_connection(address)) for _ in range(300)]
        for follower in followers:
            follower.sendall(ask)
        first.process.send_signal(signal.SIGCONT)
        answers = [beginning(follower) for follower in followers]
        assert 0 < sum(answer.startswith(b"HTTP/1.1 200") for answer in answers) < files / 2
        assert {answer[9:12] for answer in answers} == seen
        until(lambda: first.newcomer.get("/livez").is_success)
        assert first.client.get("/v1/models").is_success
        assert first.client.delete(job).is_success
        assert f"the process may open only {files} files" in first.log
        assert "ERROR" not in first.log


def beginning(follower: socket.socket) -> bytes:
    try:
        return follower.recv(100)
    except ConnectionResetError:
        return b""


def test_two_servers_on_one_folder_are_refused(tmp_path: Path) -> None:
    with process(tmp_path) as first:
        environment = {**os.environ, "SRNET_DATA_DIR": str(tmp_path / "data")}
        second = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            check=False,
        )
        assert second.returncode == 1
        assert b"another server uses the data folder" in second.stderr
        assert first.client.get("/livez").is_success


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRNET_API_KEYS", "one, two")
    monkeypatch.setenv("SRNET_MAX_UPLOAD_MB", "1.5")
    monkeypatch.setenv("SRNET_PORT", "")
    settings = Settings()
    assert [key.get_secret_value() for key in settings.api_keys] == ["one", "two"]
    assert settings.max_upload == 1_500_000
    assert settings.port == 8000
    assert settings.host == "127.0.0.1"
    assert Settings(port=1).port == 1


def test_described_settings_have_units_and_hide_secrets() -> None:
    rows = list(Settings(api_keys="secret").described())
    assert {name for name, *_ in rows} == {
        f"SRNET_{name.upper()}" for name in Settings.model_fields
    }
    assert all(meaning for *_, meaning in rows)
    assert "secret" not in str(rows)
    assert ("SRNET_TIME_LIMIT", "300.0", "s") in [row[:3] for row in rows]


def test_models_that_cannot_be_used_end_the_service(tmp_path: Path) -> None:
    environment = {**os.environ, "SRNET_DATA_DIR": str(tmp_path), "SRNET_PORT": "0"}
    environment |= {"SRNET_DEVICE": "cuda:99", "SRNET_MODELS": "fast"}
    command = [sys.executable, "-m", "srnet", "serve"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 2
    assert "srnet: error: PyTorch finds no device 'cuda:99' here" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_attempt_at_a_websocket_leaves_the_log_alone(tmp_path: Path) -> None:
    with process(tmp_path) as running:
        headers = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
        assert running.client.get("/livez", headers=headers).status_code == 200
        assert running.client.get("/livez").status_code == 200
        assert "ebSocket" not in running.log
        assert "pgrade" not in running.log
