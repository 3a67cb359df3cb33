"""Jobs on disk: one SQLite file in WAL mode, and the pictures beside it.

A row says what a file is for, so the file is always written first and the row last; a file
without a row is left over from a process that was killed, and is removed at the next start.
"""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from server import folders
from srnet.errors import SetupError

ROW = 4096  # bytes on disk of a row and its part of the index, about
QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    key TEXT,
    state TEXT NOT NULL,
    created REAL NOT NULL,
    expires REAL,
    bytes INTEGER NOT NULL,
    document TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS keys ON jobs (owner, key) WHERE key IS NOT NULL;
"""
_INSERT = (
    "INSERT INTO jobs (id, owner, key, state, created, expires, bytes, document) "
    "VALUES (:id, :owner, :key, :state, :created, :expires, :bytes, :document)"
)
_UPDATE = (
    "UPDATE jobs SET state = :state, expires = :expires, bytes = :bytes, document = :document "
    "WHERE id = :id"
)
_TAKE_KEY = "UPDATE jobs SET key = NULL WHERE owner = ? AND key = ?"
_KEPT = "(expires IS NULL OR expires > ?)"
_SIZES = (
    "SELECT coalesce(sum(bytes + :row), 0), "
    "coalesce(sum(CASE WHEN expires IS NOT NULL THEN bytes + :row END), 0) FROM jobs"
)
_OLDEST = "SELECT id, bytes FROM jobs WHERE expires IS NOT NULL ORDER BY created, rowid"
_JOURNAL = 250  # pages after which it is merged; a thousand, the default, is 4 MB beside few jobs


@dataclass(frozen=True)
class Job:
    """All that is known of a job. Times are seconds since 1970, sizes pixels or bytes."""

    id: str
    owner: str  # who made it; "" where the service asks for no key
    key: str | None  # Idempotency-Key
    fingerprint: str  # of the request, to tell a repeated one from another
    model: str
    wishes: dict[str, Any]  # the options, as they came
    accept: str
    name: str  # what the sender called the picture
    input_bytes: int
    width: int  # of the input
    height: int
    created: float
    request_id: str = ""  # of the request that made it
    state: str = QUEUED
    attempts: int = 0
    expires: float | None = None
    reached: float = 0.0  # of 1, when it ended
    seconds: float | None = None
    consistency_db: float | None = None
    output: dict[str, Any] | None = None  # bytes, width, height, format
    stages: dict[str, float] | None = None  # seconds of each
    error: dict[str, Any] | None = None  # members of a problem

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.state not in (QUEUED, RUNNING)

    @property
    def bytes(self) -> int:
        """What its file takes on disk, beside the ``ROW``."""
        if not self.ended:
            return self.input_bytes
        return int(self.output["bytes"]) if self.output else 0


class Store:
    """The jobs of one folder. Blocking, safe to use from several threads.

    Raises:
        SetupError: the file that lists them is damaged, or no such file, or the folder is none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "jobs"
        folders.make(self._folder)
        self._lock = threading.Lock()
        path = folder / "jobs.sqlite3"
        try:
            self._database = sqlite3.connect(path, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._database.close()
                raise
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            raise SetupError(
                f"{path} cannot be used ({error}): if it is damaged, move it away together with "
                f"{self._folder}; the jobs in it are lost"
            ) from error

    def _prepare(self) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute(f"PRAGMA wal_autocheckpoint = {_JOURNAL}")
        self._database.executescript(_SCHEMA)
        self._sweep()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    def input(self, job_id: str) -> Path:
        """Where the picture of a job is until it has ended."""
        return self._folder / f"{job_id}.input"

    def result(self, job_id: str) -> Path:
        """Where the result is once it is done."""
        return self._folder / f"{job_id}.result"

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._database:
            yield self._database

    def add(self, job: Job) -> None:
        """Write a new job, whose input is there already; its key is taken from an older one."""
        with self._transaction() as database:
            if job.key is not None:
                database.execute(_TAKE_KEY, (job.owner, job.key))
            database.execute(_INSERT, _row(job))

    def change(self, job: Job) -> None:
        """Write what became of a job; one that was deleted meanwhile stays so."""
        with self._transaction() as database:
            changed = database.execute(_UPDATE, _row(job)).rowcount
        if job.ended or not changed:
            self.input(job.id).unlink(missing_ok=True)
        if not changed or (job.ended and job.state != DONE):
            self.result(job.id).unlink(missing_ok=True)

    def put_back(self, job: Job) -> None:
        """Write that a job waits again, unless it has ended or was deleted meanwhile."""
        with self._transaction() as database:
            database.execute(f"{_UPDATE} AND state = :running", {**_row(job), "running": RUNNING})

    def find(self, job_id: str) -> Job | None:
        """The job with an id, unless it has expired."""
        return next(self._select(f"id = ? AND {_KEPT}", job_id, time.time()), None)

    def with_key(self, owner: str, key: str) -> Job | None:
        """The job that was made with an Idempotency-Key, unless it has expired."""
        where = f"owner = ? AND key = ? AND {_KEPT}"
        return next(self._select(where, owner, key, time.time()), None)

    def unfinished(self) -> list[Job]:
        """Queued and running jobs, oldest first."""
        return list(self._select("state IN (?, ?)", QUEUED, RUNNING))

    def _select(self, where: str, *values: Any) -> Iterator[Job]:
        query = f"SELECT document FROM jobs WHERE {where} ORDER BY created, rowid"  # noqa: S608
        with self._lock:
            rows = self._database.execute(query, values).fetchall()
        return (Job(**json.loads(document)) for (document,) in rows)

    def delete(self, *job_ids: str) -> None:
        """Forget jobs and their files."""
        with self._transaction() as database:
            database.executemany("DELETE FROM jobs WHERE id = ?", [(each,) for each in job_ids])
        for each in job_ids:
            self.input(each).unlink(missing_ok=True)
            self.result(each).unlink(missing_ok=True)

    def expire(self) -> None:
        """Delete what was kept long enough."""
        self.delete(*(job.id for job in self._select("expires < ?", time.time())))

    def make_room(self, needed: int, limit: int) -> bool:
        """Delete the oldest ended jobs until ``needed`` more bytes fit in; whether they do.

        Each row counts, so that those without a result have an end too. Nothing is deleted in
        vain: if they cannot fit, all stays.
        """
        with self._lock:
            used, may_go = self._database.execute(_SIZES, {"row": ROW}).fetchone()
            if used - may_go + needed > limit:
                return False
            ended = self._database.execute(_OLDEST).fetchall() if used + needed > limit else []
        gone = []
        for job_id, size in ended:
            if used + needed <= limit:
                break
            gone.append(job_id)
            used -= size + ROW
        self.delete(*gone)
        return True

    def _sweep(self) -> None:
        """Remove what a killed process left: half-written files, and those of no job."""
        known = {job.id: job for job in self._select("1")}

        def wanted(path: Path) -> bool:
            job = known.get(path.name.split(".")[0])
            return job is not None and path in (self.input(job.id), self.result(job.id))

        folders.clear(self._folder, wanted)


def _row(job: Job) -> dict[str, Any]:
    fields = dataclasses.asdict(job)
    return {**fields, "bytes": job.bytes, "document": json.dumps(fields, ensure_ascii=False)}


def shown(job: Job, progress: float, place: int | None) -> dict[str, Any]:
    """What a caller is shown of a job; ``progress`` is 0 to 1, ``place`` counts from 1."""
    sizes = {"bytes": job.input_bytes, "width": job.width, "height": job.height}
    return {
        "id": job.id,
        "state": job.state,
        "progress": progress,
        "place": place,
        "model": job.model,
        "input": {"name": job.name, **sizes},
        "output": job.output,
        "seconds": job.seconds,
        "consistency_db": job.consistency_db,
        "error": job.error,
        "created": _time(job.created),
        "expires": None if job.expires is None else _time(job.expires),
    }


def _time(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
