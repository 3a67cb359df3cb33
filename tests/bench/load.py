"""The service under load: latency of health, fairness, memory, overhead. Prints JSON.

``python -m tests.bench.load [--model NAME_OR_FILE] [--seconds 20] [PART ...]``; the parts are
overhead, livez, fairness, memory. Everything runs on the loopback interface and ends by itself.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image

from srnet import product
from tests.bench.speed import timed

Bench = Callable[["Service", argparse.Namespace], dict[str, Any]]
TILE = 256


class Service:
    """A server process and a client of it."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def upscale(self, data: bytes, **query: Any) -> httpx.Response:
        return self.client.post("/v1/upscale", params=query, content=data)

    def metric(self, name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.client.get("/metrics").text, re.M)
        assert found, name
        return float(found[1])

    @property
    def memory(self) -> float:
        """Resident, in MB."""
        return self.metric("process_resident_memory_bytes") / 1e6


@contextmanager
def service(model: str, **settings: str) -> Iterator[Service]:
    """``srnet serve`` on a free port."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        environment = {
            **os.environ,
            "SRNET_DATA_DIR": folder,
            "SRNET_PORT": "0",
            "SRNET_MODELS": model,
            "SRNET_TILE": str(TILE),
            **settings,
        }
        command = [sys.executable, "-m", "srnet", "serve"]
        with log.open("w") as file:
            process = subprocess.Popen(command, env=environment, stderr=file)
        try:
            while "ready: " not in log.read_text():
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
            found = re.search(r"listening on (http\S+)", log.read_text())
            assert found
            with httpx.Client(base_url=found[1], timeout=900) as client:
                yield Service(client)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, log.read_text()


def photograph(width: int, height: int, kind: str = "PNG") -> bytes:
    """Smooth noise: as hard to encode as a photograph."""
    rng = np.random.default_rng(width * height)
    small = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    image = PIL.Image.fromarray(small).resize((width, height), PIL.Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, kind, **({"quality": 90} if kind == "JPEG" else {"compress_level": 1}))
    return file.getvalue()


def overhead(server: Service, options: argparse.Namespace) -> dict[str, Any]:
    """The same picture through HTTP and through the library, in turn.

    The client is the plainest one, since its time is counted as the service's: httpx takes
    up to a millisecond more.
    """
    url = server.client.base_url
    plain = http.client.HTTPConnection(url.host, url.port)

    def through_http(data: bytes) -> bytes:
        plain.request("POST", "/v1/upscale", data)
        answer = plain.getresponse()
        assert answer.status == 200, answer.read()
        return answer.read()

    bare = product.load(options.model, tile=TILE, batch_pixels=TILE**2)
    rows = {}
    for side in (64, 512):
        data = photograph(side, side)
        bare.upscale_bytes(data)
        through_http(data)
        through, direct = [], []
        for _ in range(options.repeat):
            direct.append(timed(lambda data=data: bare.upscale_bytes(data)))
            through.append(timed(lambda data=data: through_http(data)))
        ours, theirs = min(through), min(direct)
        rows[f"{side}x{side}"] = {
            "bare_ms": round(1000 * theirs, 1),
            "service_ms": round(1000 * ours, 1),
            "limit_ms": round(1000 * theirs * 1.05 + 5, 1),
            "same_bytes_twice": through_http(data) == through_http(data),
        }
    return rows


def _answer_times(server: Service, busy: Callable[[], bool]) -> list[float]:
    times = []
    while busy():
        times.append(1000 * timed(lambda: server.client.get("/livez")))
        time.sleep(0.01)
    return times


def _percentiles(times: list[float]) -> dict[str, Any]:
    times = sorted(times)
    at = {f"p{p}_ms": round(times[min(len(times) - 1, len(times) * p // 100)], 1) for p in (50, 99)}
    return {"answers": len(times), **at, "max_ms": round(times[-1], 1)}


def livez(server: Service, options: argparse.Namespace) -> dict[str, Any]:
    """Latency of /livez while four pictures of 12 megapixels are worked on."""
    data = photograph(4000, 3000, "JPEG")
    end = time.perf_counter() + 3
    idle = _answer_times(server, lambda: time.perf_counter() < end)
    with ThreadPoolExecutor(4) as pool:
        # First without the network: all of it is decoding, resizing, checking, encoding.
        whole = [pool.submit(server.upscale, data, width=3900) for _ in range(4)]
        codecs = _answer_times(server, lambda: not all(f.done() for f in whole))
        assert all(f.result().is_success for f in whole)

        def cut_off() -> None:
            with suppress(httpx.TimeoutException):
                server.client.post("/v1/upscale?scale=2", content=data, timeout=options.seconds)

        cut = [pool.submit(cut_off) for _ in range(4)]
        network = _answer_times(server, lambda: not all(f.done() for f in cut))
    start = time.perf_counter()
    while server.metric('srnet_in_progress{kind="requests"}'):
        time.sleep(0.01)
    return {
        "idle": _percentiles(idle),  # what the machine itself makes of it
        "while_decoding_and_encoding": _percentiles(codecs),
        "while_the_network_runs": _percentiles(network),
        "seconds_until_abandoned_work_has_stopped": round(time.perf_counter() - start, 2),
    }


def fairness(server: Service, options: argparse.Namespace) -> dict[str, Any]:
    """A small request alone, and beside a job of 50 megapixels."""
    small, large = photograph(256, 256), photograph(8192, 6104, "JPEG")
    server.upscale(small)
    alone = statistics.median(timed(lambda: server.upscale(small)) for _ in range(5))
    job = "/v1/" + server.client.post("/v1/jobs?scale=2", content=large).headers["location"]
    while not server.client.get(job).json()["progress"]:
        time.sleep(0.1)
    start, before = time.perf_counter(), server.client.get(job).json()["progress"]
    beside = [timed(lambda: server.upscale(small)) for _ in range(options.repeat * 2)]
    state = server.client.get(job).json()
    elapsed = time.perf_counter() - start
    assert state["state"] == "running"
    server.client.delete(job)
    stop = time.perf_counter()
    while server.metric('srnet_in_progress{kind="requests"}') + _busy_jobs(server):
        time.sleep(0.01)
    return {
        "alone_ms": round(1000 * alone, 1),
        "beside_median_ms": round(1000 * statistics.median(beside), 1),
        "beside_max_ms": round(1000 * max(beside), 1),
        "limit_ms": round(4000 * alone, 1),  # three times alone, and one batch, which is alone
        "job_progress_per_second": round((state["progress"] - before) / elapsed, 5),
        "seconds_until_deleted_job_has_stopped": round(time.perf_counter() - stop, 2),
    }


def _busy_jobs(server: Service) -> float:
    return server.metric('srnet_in_progress{kind="jobs"}')


def memory(server: Service, options: argparse.Namespace) -> dict[str, Any]:
    """Resident memory after 20 mixed requests, after 500 more, and after 50 at once."""
    rng = np.random.default_rng(0)

    def mixed(i: int) -> None:
        width, height = (int(x) for x in rng.integers(20, 240, 2))  # to 300 is at most 16 times
        kind = ("PNG", "JPEG", "WEBP", "BMP")[i % 4]
        data = photograph(width, height, "PNG")
        if kind != "PNG":
            file = io.BytesIO()
            PIL.Image.open(io.BytesIO(data)).save(file, kind)
            data = file.getvalue()
        query = ("scale=2", "format=webp&scale=1.5", "format=jpeg", "width=300&format=tiff")[i % 4]
        if i % 10 == 9:
            data = data[: len(data) // 2]
        path = "/v1/residual" if i % 25 == 7 else "/v1/upscale"
        answer = server.client.post(f"{path}?{query}", content=data)
        assert answer.status_code in (200, 415), answer.text

    for i in range(20):
        mixed(i)
    first, peak = _settled(server), 0.0
    for i in range(options.requests):
        mixed(i)
        peak = max(peak, server.memory) if i % 20 == 0 else peak
    after = _settled(server)
    statuses = _at_once(server, 50)
    end = _settled(server)
    return {
        "after_20_mb": round(first),
        f"after_{options.requests}_mb": round(after),
        "after_50_at_once_mb": round(end),
        "peak_mb": round(peak),
        "growth_percent": round(100 * (max(after, end) / first - 1), 1),
        "statuses_of_50": statuses,
    }


def _at_once(server: Service, count: int) -> dict[str, int]:
    """How often each status came for so many requests at the same time."""
    data = photograph(200, 200)
    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(lambda _: server.upscale(data), range(count)))
    statuses = [str(answer.status_code) for answer in answers]
    return {status: statuses.count(status) for status in sorted(set(statuses))}


def _settled(server: Service) -> float:
    time.sleep(6)  # freed memory is given back every five seconds
    return server.memory


PARTS: dict[str, tuple[Bench, dict[str, str]]] = {
    "overhead": (overhead, {}),
    "livez": (livez, {"SRNET_RUNNING": "4"}),
    "fairness": (fairness, {}),
    "memory": (memory, {"SRNET_WAITING": "48"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS))
    parser.add_argument("--model", default="fast")
    parser.add_argument("--seconds", type=float, default=20, help="of load for the latency")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--requests", type=int, default=500)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}: there are {', '.join(PARTS)}")
    report: dict[str, Any] = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "model": Path(options.model).stem,
    }
    for part in options.parts:
        bench, settings = PARTS[part]
        with service(options.model, **settings) as server:
            report[part] = bench(server, options)
        print(part, report[part], file=sys.stderr)  # noqa: T201
    print(json.dumps(report, indent=2))  # noqa: T201 - it is what this is for


if __name__ == "__main__":
    main()
