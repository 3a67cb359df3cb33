"""The rows of jobs: few bytes each, counted, and read in the form of older versions too."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from server.negotiate import acceptable, essence
from server.query import Wishes
from server.store import ROW, Job, Store
from srnet.image import FORMATS
from tests.serving import picture, served, until
from tests.test_server_line import ended, line_of, look, make


def test_jobs_that_failed_are_bounded_too(tmp_path: Path) -> None:
    broken = picture(60, 60)[:70]
    with served(tmp_path, store_mb=4.1 * ROW / 1e6) as server:
        jobs = []
        for _ in range(6):
            jobs.append(make(server, broken))
            ended(server, jobs[-1], "failed")
        assert [server.client.get(job).status_code for job in jobs] == [404] * 2 + [200] * 4


def test_what_callers_send_fits_into_a_row(tmp_path: Path) -> None:
    count, accept = 40, "image/webp;q=0.123456789,image/png," + 960 * "é"
    with served(tmp_path) as server:
        for each in range(count):
            key = str(each).ljust(200, "é")
            headers = {"accept": accept.encode("latin-1"), "idempotency-key": key.encode("latin-1")}
            job = make(server, None, "fit=300x300&background=black&quality=90", **headers)
        until(lambda: not line_of(server).live)
        assert look(server, job)["output"]["format"] == "png"
    assert (tmp_path / "jobs.sqlite3").stat().st_size < (count + 4) * ROW


def test_journal_of_the_list_stays_short(tmp_path: Path) -> None:
    store = Store(tmp_path)
    job = Job("j", "", None, "", "fake", {}, "", "a.png", 3, 1, 1, 0.0)
    store.add(job)
    for each in range(180):
        store.change(replace(job, created=each, accept=9000 * str(each % 10)))
    assert (tmp_path / "jobs.sqlite3-wal").stat().st_size < 1.5e6
    store.close()


def test_keys_of_older_versions_are_known(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        job = make(server, **{"idempotency-key": "k"})
        ended(server, job)
        store = line_of(server).store
        stored = store.find(job.rsplit("/", 1)[-1])
        assert stored is not None
        assert len(stored.fingerprint) == 64
        upload, wishes = hashlib.sha256(picture()).hexdigest(), Wishes().model_dump_json()
        store.change(replace(stored, fingerprint=f"{upload} {wishes} */*"))
        assert make(server, **{"idempotency-key": "k"}) == job


_NAMES = st.sampled_from(["image/png", "IMAGE/webp", "image/*", "*/*", "text/html", "é", ""])
_Q = st.sampled_from(["", ";q=0", ";q=0.123456789", "; q=1e-9", ";q=nan", ";q=", ";level=1;q=.5"])


@given(st.lists(st.tuples(_NAMES, _Q)), st.sampled_from(sorted(FORMATS)))
def test_what_is_kept_of_an_accept_header_means_the_same(parts, natural: str) -> None:
    accept = ",".join(name + q for name, q in parts)
    assert acceptable(essence(accept), natural) == acceptable(accept, natural)
    assert len(essence(accept)) < 300
    assert acceptable(essence(300 * accept), natural) == acceptable(300 * accept, natural)
