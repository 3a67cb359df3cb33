"""A real server in a thread, around an engine that does what the test says."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image
import uvicorn
from fastapi import FastAPI

from server.app import create_app
from server.main import Server
from server.prompt import HEAD, prompt
from server.service import Service
from server.settings import Settings
from srnet.engine import Turnstile
from srnet.options import Options
from srnet.upscaler import Upscaler
from tests.conftest import tiny_card

TILE = 32


class HeldEngine:
    """Repeats pixels; while held, each batch waits for :meth:`let_go`."""

    kind = "held float32"

    def __init__(self, scale: int = 2) -> None:
        self.card = tiny_card(scale, "fake")
        self.error: Exception | None = None
        self.batches = 0
        self._turnstile = Turnstile()
        self._free = threading.Event()
        self._free.set()
        self._one = threading.Semaphore(0)

    def hold(self) -> None:
        self._free.clear()

    def let_go(self, batches: int | None = None) -> None:
        if batches is None:
            self._free.set()
            batches = 1000
        for _ in range(batches):
            self._one.release()

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        s = self.card.scale
        for batch in batches:
            with self._turnstile.turn():
                self.batches += 1
                if not self._free.is_set():
                    assert self._one.acquire(timeout=60)
                if self.error is not None:
                    raise self.error
                result = batch.repeat(s, 1).repeat(s, 2)
            yield result


@dataclass
class Served:
    app: FastAPI
    client: httpx.Client
    port: int
    engine: HeldEngine

    @property
    def service(self) -> Service:
        return self.app.state.service

    def spooled(self) -> list[Path]:
        return list(self.service.spool.iterdir())


@contextmanager
def served(folder: Path, wait: bool = True, fake: bool = True, **settings: Any) -> Iterator[Served]:
    """A server on a free port, stopped at the end."""
    engine = HeldEngine()
    options = Options(tile=TILE, batch_pixels=TILE**2)
    app = create_app(
        Settings(**{"data_dir": folder, "grace_seconds": 1, **settings}),
        {"fake": Upscaler([engine], options)} if fake else None,
    )
    config = uvicorn.Config(
        app,
        port=0,
        http=prompt(app.state.service.settings),
        h11_max_incomplete_event_size=HEAD,
        log_level="critical",
        server_header=False,
        ws="none",
    )
    server = Server(config, app.state.service)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        until(lambda: not wait or app.state.service.opened.is_set())
        engine.batches = 0  # those of warming up
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield Served(app, client, port, engine)
    finally:
        engine.let_go()
        server.should_exit = True
        thread.join(60)


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Wait for a condition, generously: machines may be busy; fails if it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def in_thread(call: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Run a call beside the test; the list receives its result."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    return thread, results


def picture(width: int = 20, height: int = 14, kind: str = "PNG", mode: str = "RGB") -> bytes:
    """A picture file with a gradient in it."""
    y, x = np.mgrid[:height, :width]
    values = np.stack([x * 7 % 256, y * 11 % 256, (x + y) * 5 % 256], axis=-1).astype(np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(values).convert(mode).save(file, kind)
    return file.getvalue()


def location(answer: httpx.Response) -> str:
    """The path that the header Location of an answer leads to."""
    return answer.url.join(answer.headers["location"]).path


def opened(data: bytes) -> PIL.Image.Image:
    image = PIL.Image.open(io.BytesIO(data))
    image.load()
    return image


def problem(response: httpx.Response, status: int, kind: str) -> str:
    """Check that a response is this problem; its detail."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    members = response.json()
    assert members["type"] == f"/docs#{kind}"
    assert members["status"] == status
    assert members["title"]
    assert members["request_id"] == response.headers["x-request-id"]
    detail = members["detail"]
    for secret in ("Traceback", "PIL", "cv2", ".py", "/tmp", "site-packages"):
        assert secret not in detail
    assert not re.search(r"(?<!\d)0x[0-9a-f]{6}", detail)  # an address in memory
    return detail
