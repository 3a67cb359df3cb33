"""Room for connections: what the files of a process allow, and what is said of the rest."""

from __future__ import annotations

import errno
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from server import room
from server.settings import Settings
from tests.serving import picture, problem, served

INFINITE = resource.RLIM_INFINITY


class Limits:
    """What a process may open."""

    def __init__(self, soft: int, hard: int) -> None:
        self.soft, self.hard = soft, hard

    def set(self, soft: int) -> None:
        if soft > 10_000:
            raise ValueError
        self.soft = soft


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], Limits]:
    def limit(soft: int, hard: int) -> Limits:
        limits = Limits(soft, hard)
        monkeypatch.setattr(resource, "getrlimit", lambda _: (limits.soft, limits.hard))
        monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.set(pair[0]))
        return limits

    return limit


@pytest.mark.parametrize(
    ("soft", "connections", "streams"),
    [(INFINITE, 400, 64), (1024, 400, 64), (256, 96, 48), (64, 12, 6), (20, 1, 1)],
)
def test_few_files_mean_few_connections(files, soft: int, connections: int, streams: int) -> None:
    files(soft, INFINITE)
    assert room.connections(Settings()) == connections
    assert room.connections(Settings(connections=1)) == 1
    assert room.streams(Settings()) == streams
    assert len(list(room.lacking(Settings()))) == (connections < 400) + (streams < 64)


def test_what_is_lacking_is_told_with_its_cure(files) -> None:
    files(256, 256)
    connections, streams = room.lacking(Settings())
    assert "SRNET_CONNECTIONS is 400" in connections
    assert "256 files: 96 are served" in connections
    assert "ulimit -n" in connections
    assert "SRNET_STREAMS is 64" in streams
    assert "48 are served" in streams


@pytest.mark.parametrize(
    ("soft", "hard", "settings", "then"),
    [
        (256, INFINITE, {}, 864),
        (256, 4096, {}, 864),
        (256, 512, {}, 512),
        (1024, 4096, {}, 1024),
        (INFINITE, INFINITE, {}, INFINITE),
        (256, INFINITE, {"connections": 10_000}, 256),  # more than this system gives anybody
    ],
)
def test_as_many_files_are_asked_for_as_are_needed(
    files, soft: int, hard: int, settings: dict[str, int], then: int
) -> None:
    limits = files(soft, hard)
    room.make(Settings(**settings))
    assert limits.soft == then


def test_no_file_left_is_a_busy_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with served(tmp_path) as server:
        monkeypatch.setattr("server.upload._Sink._write", none_left)
        answer = server.client.post("/v1/upscale", content=picture(800, 700, "BMP"))
        problem(answer, 503, "busy")
        assert int(answer.headers["retry-after"]) > 0
