"""Who takes an answer slowly gets all of it; who takes nothing is cut off, and it is logged."""

from __future__ import annotations

import http.client
import io
import socket
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.serving import Served, served, until


def ask(server: Served, client: socket.socket) -> None:
    """Ask for an answer of 7.7 MB over a connection that holds few bytes of it."""
    noise = np.random.default_rng(0).integers(0, 256, (1600, 1600, 3), np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(noise).save(file, "BMP")
    data = file.getvalue()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(60)
    client.connect(("127.0.0.1", server.port))
    client.sendall(b"POST /v1/upscale?width=1599&format=tiff HTTP/1.1\r\nHost: x\r\n")
    client.sendall(b"Content-Length: %d\r\n\r\n" % len(data) + data)


def test_slow_but_steady_receiver_gets_all(tmp_path: Path) -> None:
    with served(tmp_path, stall_seconds=1) as server, socket.socket() as client:
        ask(server, client)
        answer = http.client.HTTPResponse(client)
        answer.begin()
        size = int(answer.headers["content-length"])
        taken, end = 0, time.monotonic() + 4
        # The kernel holds megabytes, and takes more only when a third of them is gone.
        while time.monotonic() < end:
            taken += len(answer.read(5000))
            time.sleep(0.05)
        assert taken < size / 4
        assert taken + len(answer.read()) == size


def test_cut_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "srnet.server")
    with served(tmp_path, stall_seconds=0.3) as server, socket.socket() as client:
        ask(server, client)
        told = "cut off 127.0.0.1, who took nothing of an answer for 0.3 s"
        until(lambda: told in caplog.messages)
        assert caplog.messages.count(told) == 1
