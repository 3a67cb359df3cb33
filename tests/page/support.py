"""A service, and a browser that looks at its page."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srnet.options import Options
from srnet.upscaler import Upscaler
from tests.conftest import FakeEngine

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (pip install playwright)"
)
uvicorn = pytest.importorskip("uvicorn", reason="the service is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
if CHROMIUM is None:
    pytest.skip("no chromium on this machine (apt-get install chromium)", allow_module_level=True)
expect = playwright.expect
QUIET = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"


QUIET += " --disable-background-networking --disable-component-update"


ADDED = 20 / 255  # what the engine adds to bicubic, of full scale


class Gated(FakeEngine):
    """The fake engine, which can be held after each batch."""

    def __init__(self, scale: int) -> None:
        super().__init__(scale, ADDED)
        self.open = threading.Event()
        self.open.set()
        self.passes = threading.Semaphore(0)  # batches that may run although it is closed

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for result in super().run(batches):
            deadline = time.monotonic() + 30
            while not self.open.wait(0.01) and not self.passes.acquire(blocking=False):
                assert time.monotonic() < deadline
            yield result

    def close(self) -> None:
        self.open.clear()
        while self.passes.acquire(blocking=False):
            pass


@dataclass
class Served:
    url: str
    engines: list[Gated] = field(default_factory=list)


def serve(folder: Path, **settings: Any) -> Iterator[Served]:
    from server.app import create_app
    from server.settings import Settings

    engines = [Gated(2), Gated(3)]
    upscaler = Upscaler(engines, Options(tile=32, batch_pixels=40 * 40))
    app = create_app(Settings(data_dir=folder, port=0, **settings), {"photo": upscaler})
    config = uvicorn.Config(app, port=0, ws="none", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield Served(f"http://127.0.0.1:{port}/", engines)
    finally:
        for engine in engines:
            engine.open.set()
        server.should_exit = True
        thread.join(30)


class Page:
    """A page, and the few things that every test does with it."""

    def __init__(self, context: Any, url: str) -> None:
        context.set_default_timeout(20_000)
        self.at = context.new_page()
        self.faults: list[str] = []
        self.at.on("pageerror", lambda error: self.faults.append(str(error)))
        self.at.on("console", self._hear)
        self.at.goto(url)

    def _hear(self, message: Any) -> None:
        # Refused requests are logged by the browser itself; they are not faults of the page.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(message.text)

    def add(self, *files: Path) -> None:
        self.at.set_input_files("#files", [str(file) for file in files])

    def go(self) -> None:
        self.at.click("#go")

    def choose(self, name: str) -> None:
        self.at.get_by_role("radio", name=name, exact=True).check(force=True)

    def rows(self, state: str = "") -> Any:
        return self.at.locator(f"#list li[data-state={state}]" if state else "#list li")

    def finish(self, count: int = 1) -> None:
        expect(self.rows("done")).to_have_count(count, timeout=20_000)

    def tag(self, side: str) -> Any:
        return self.at.locator(f".pane.{side} .tag")

    def compared(self) -> None:
        expect(self.tag("left")).to_have_text("Bicubic", timeout=20_000)

    def split(self) -> int:
        return int(self.at.get_attribute(".divider", "aria-valuenow"))

    def zoom(self) -> int:
        return int(self.at.text_content("#zoom").removesuffix(" %"))

    def pixel(self, side: str, x: int, y: int) -> list[int]:
        """Size of the picture of a side, and one pixel of it as the browser decoded it."""
        return self.at.evaluate(
            """async ([side, x, y]) => {
                const img = document.querySelector(`.pane.${side} img`);
                const later = () => new Promise((done) => setTimeout(done, 50));
                for (let tries = 20; tries; tries -= 1) { // it may be replaced meanwhile
                    if (await img.decode().then(() => true, later)) break;
                }
                const canvas = new OffscreenCanvas(1, 1).getContext("2d");
                canvas.drawImage(img, -x, -y);
                const data = canvas.getImageData(0, 0, 1, 1).data;
                return [img.naturalWidth, img.naturalHeight, ...data].slice(0, 5);
            }""",
            [side, x, y],
        )
