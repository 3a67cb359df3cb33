"""A whole run: what overlaps, what is bounded, how it ends."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import srnet.naming
import srnet.work
from srnet.batch import preview, run
from srnet.errors import PictureError
from srnet.image import decode, encode, from_array
from srnet.naming import Job
from srnet.options import Options
from srnet.report import Report, Row
from srnet.upscaler import Upscaler
from tests.batch.support import Log, Slow, jobs_for, names


def test_preview_writes_nothing(tmp_path, fake_engine):
    jobs = jobs_for(tmp_path, tmp_path / "out", 2)
    jobs[1].source.write_bytes(b"nothing")
    report = preview(jobs, Upscaler([fake_engine()]), Options(scale=1.5))
    assert [row.status for row in report.rows] == ["planned", "failed"]
    assert report.rows[0].output_size == (15, 12)
    assert report.rows[0].models == ("fake-x2",)
    assert not (tmp_path / "out").exists()
    tight = Options(max_pixels=100)
    assert "limit" in preview(jobs, Upscaler([fake_engine()]), tight).rows[0].error


@pytest.mark.alone
def test_the_network_hardly_waits(tmp_path, fake_engine):
    engine = Slow(fake_engine, seconds=0.012)
    jobs = jobs_for(tmp_path, tmp_path / "out", 100)
    start = time.perf_counter()
    report = run(jobs, Upscaler([engine]), Options())
    wall = time.perf_counter() - start
    assert report.count("done") == 100
    assert report.network_busy >= 0.9
    assert engine.busy / wall >= 0.85  # the figure is not made up


def test_rows_know_what_became_smaller():
    assert not Row("a", "b", "done").shrunk
    assert not Row("a", "b", "done", (10, 8), (10, 8)).shrunk
    assert Row("a", "b", "done", (10, 8), (20, 7)).shrunk


def test_what_is_in_flight_is_bounded(tmp_path, fake_engine):
    cost = (8 * 10 + 16 * 20) * 3
    inside, most = set(), 0
    lock = threading.Lock()

    class Counting(Upscaler):
        def decode(self, data, name, options):
            nonlocal most
            with lock:
                inside.add(name)
                most = max(most, len(inside))
            return super().decode(data, name, options)

    class Leaving(Log):
        def finished(self, row):
            with lock:
                inside.discard(row.input)

    jobs = jobs_for(tmp_path, tmp_path / "out", 30)
    engine = Slow(fake_engine, seconds=0.002)
    upscaler = Counting([engine])
    report = run(jobs, upscaler, Options(), threads=4, in_flight=3 * cost, listener=Leaving())
    assert report.count("done") == 30
    assert most == 3


def test_a_picture_larger_than_all_that_may_be_in_flight_goes_alone(tmp_path, fake_engine):
    jobs = jobs_for(tmp_path, tmp_path / "out", 5)
    report = run(jobs, Upscaler([fake_engine()]), Options(), threads=3, in_flight=1)
    assert report.count("done") == 5


def test_ctrl_c_stops_within_a_batch_and_leaves_whole_files(tmp_path, fake_engine, ctrl_c):
    jobs = jobs_for(tmp_path, tmp_path / "out", 12, height=64, width=64)
    options = Options(tile=32, batch_pixels=1)  # nine batches for each picture, 108 in all

    def interrupt(number: int) -> None:
        if number == 15:
            ctrl_c()

    engine = Slow(fake_engine, seconds=0.02, before=interrupt)
    report = run(jobs, Upscaler([engine]), options)
    assert report.interrupted
    assert report.count("failed") == 0
    assert 1 <= report.count("done") <= 10
    assert report.count("done") + report.count("pending") == 12
    assert engine.batches < 100
    done = [Path(row.output).name for row in report.rows if row.status == "done"]
    assert names(tmp_path / "out") == sorted(done)
    for name in done:
        decode((tmp_path / "out" / name).read_bytes())
    rest = run(jobs, Upscaler([Slow(fake_engine)]), options, existing="skip")
    assert (rest.count("skipped"), rest.count("done")) == (len(done), 12 - len(done))


def test_a_listener_that_breaks_ends_the_run_loudly(tmp_path, fake_engine):
    class Broken(Log):
        def finished(self, row):
            raise BrokenPipeError("nobody reads")

    jobs = jobs_for(tmp_path, tmp_path / "out", 20)
    with pytest.raises(BrokenPipeError):
        run(jobs, Upscaler([fake_engine()]), Options(), listener=Broken())


def test_nothing_is_written_when_encoding_fails(tmp_path, fake_engine):
    rgba = np.full((8, 8, 4), 100, np.uint8)
    (tmp_path / "a.png").write_bytes(encode([from_array(rgba)], "png"))
    job = Job(tmp_path / "a.png", tmp_path / "out" / "a.jpg", "jpeg")
    (row,) = run([job], Upscaler([fake_engine()]), Options()).rows
    assert "transparency" in row.error
    assert not job.target.exists()
    options = Options(background=(255, 255, 255))
    assert run([job], Upscaler([fake_engine()]), options).count("done") == 1


def test_a_write_that_fails_leaves_nothing(tmp_path, fake_engine, monkeypatch):
    (job,) = jobs_for(tmp_path, tmp_path / "out", 1)

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    (row,) = run([job], Upscaler([fake_engine()]), Options()).rows
    assert "No space left" in row.error
    assert names(tmp_path / "out") == []


def test_report_json():
    name = os.fsdecode(b"a\xff.png")
    rows = [
        Row(name, "o.png", "done", (2, 3), (4, 6), 2, ("m-x2",), {"network": 1.5}, 0.1, 40.5),
        Row("b.png", "p.png", "failed", error="why"),
        Row("c.png", "q.png", "pending"),
    ]
    report = Report(rows, 2.0, interrupted=True, ignored=[name], settings={"scale": 2.0})
    text = report.to_json()
    assert text.isascii()
    found = json.loads(text)
    assert found["schema"] == 1
    known = {"srnet", "python", "torch", "openvino", "numpy", "pillow", "opencv"}
    assert set(found["versions"]) == known
    assert found["settings"] == {"scale": 2.0}
    assert found["interrupted"] is True
    totals = found["totals"]
    assert (totals["done"], totals["failed"], totals["pending"], totals["ignored"]) == (1, 1, 1, 1)
    assert found["ignored"] == [name]
    assert totals["output_megapixels"] == pytest.approx(48e-6, abs=1e-3)
    assert totals["network_busy"] == 0.75
    assert totals["seconds"]["total"] == 2.0
    assert totals["seconds"]["network"] == 1.5
    first, second, _ = found["files"]
    assert first["input"] == name  # the lone surrogate survives
    assert first["output_size"] == [4, 6]
    assert first["consistency_db"] == 40.5
    assert second["error"] == "why"


def test_an_empty_report():
    totals = json.loads(Report([]).to_json())["totals"]
    assert totals["network_busy"] == 0
    assert totals["megapixels_per_second"] is None


def test_reading_problems_name_the_file(tmp_path, fake_engine):
    work = srnet.work.Work(Job(tmp_path / "no.png", None), Upscaler([fake_engine()]), Options())
    with pytest.raises(PictureError, match=r"no\.png"):
        work.open()


def test_a_pipe_that_cannot_be_read_stops_no_other(tmp_path, fake_engine, monkeypatch):
    jobs = jobs_for(tmp_path, tmp_path / "out", 2)
    jobs[0].source.unlink()
    os.mkfifo(jobs[0].source)
    read = srnet.naming.read_file

    def refuse(path):
        if path == jobs[0].source:
            raise PictureError(f"cannot read {path}: Permission denied")
        return read(path)

    monkeypatch.setattr(srnet.naming, "read_file", refuse)
    report = run(jobs, Upscaler([fake_engine()]), Options())
    assert [row.status for row in report.rows] == ["failed", "done"]
    assert report.rows[0].error.endswith("Permission denied")
