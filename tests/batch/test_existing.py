"""Results that are there already; residuals beside them."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

import srnet.naming
from srnet.batch import preview, run
from srnet.image import decode
from srnet.naming import Found, Job, find, plan
from srnet.options import Options
from srnet.upscaler import Upscaler
from tests.batch.support import Log, Slow, jobs_for, picture


def test_existing_results(tmp_path, fake_engine):
    jobs = jobs_for(tmp_path, tmp_path / "out", 3)
    upscaler = Upscaler([fake_engine()])
    (tmp_path / "out").mkdir()
    jobs[1].target.write_bytes(b"mine")
    report = run(jobs, upscaler, Options())
    assert [row.status for row in report.rows] == ["done", "refused", "done"]
    assert "exists" in report.rows[1].error
    assert jobs[1].target.read_bytes() == b"mine"
    report = run(jobs, upscaler, Options(), existing="skip")
    assert [row.status for row in report.rows] == ["skipped", "refused", "skipped"]
    assert "exists, but not with the 20 x 16 pixels" in report.rows[1].error
    assert jobs[1].target.read_bytes() == b"mine"
    report = run(jobs, upscaler, Options(), existing="replace")
    assert [row.status for row in report.rows] == ["done"] * 3
    assert jobs[1].target.read_bytes() != b"mine"


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (Options(), "skipped"),
        (Options(scale=2), "skipped"),
        (Options(fit=(20, 99)), "skipped"),
        (Options(strength=0), "skipped"),  # which cannot be seen in the size
        (Options(scale=3), "refused"),
        (Options(width=21), "refused"),
    ],
)
def test_skipping_looks_at_the_size_that_would_be_made(tmp_path, fake_engine, options, status):
    (job,) = jobs_for(tmp_path, tmp_path / "out", 1)
    engine = fake_engine()
    run([job], Upscaler([engine]), Options())
    made = job.target.read_bytes()
    for act in (preview, run):
        (row,) = act([job], Upscaler([engine]), options, existing="skip").rows
        assert row.status == status
    assert job.target.read_bytes() == made
    assert len(engine.shapes) == 1


def test_skipping_reads_headers_only(tmp_path, fake_engine, monkeypatch):
    jobs = jobs_for(tmp_path, tmp_path / "out", 3)
    upscaler = Upscaler([fake_engine()])
    run(jobs, upscaler, Options())
    monkeypatch.setattr(srnet.naming, "read_file", None)
    assert run(jobs, upscaler, Options(), existing="skip").count("skipped") == 3


def test_skipping_an_input_that_cannot_be_read_is_a_failure(tmp_path, fake_engine):
    (job,) = jobs_for(tmp_path, tmp_path / "out", 1)
    run([job], Upscaler([fake_engine()]), Options())
    job.source.write_bytes(b"gone")
    (row,) = run([job], Upscaler([fake_engine()]), Options(), existing="skip").rows
    assert row.status == "failed"
    assert "000.png cannot be decoded" in row.error


def test_skipping_cannot_check_a_pipe_and_says_so(tmp_path, fake_engine):
    (job,) = jobs_for(tmp_path, tmp_path / "out", 1)
    run([job], Upscaler([fake_engine()]), Options())
    job.source.unlink()
    os.mkfifo(job.source)
    for act in (preview, run):  # which do not wait for it
        (row,) = act([job], Upscaler([fake_engine()]), Options(), existing="skip").rows
        assert row.status == "refused"
        assert "exists, and --skip-existing cannot tell the size" in row.error


@pytest.mark.parametrize("existing", ["refuse", "skip"])
def test_a_target_that_is_the_input_is_called_so(tmp_path, fake_engine, existing):
    source = picture(tmp_path / "a.png")
    (tmp_path / "link.png").symlink_to("a.png")
    before = source.read_bytes()
    for target in (source, tmp_path / "link.png", tmp_path / "." / "a.png"):
        job = Job(source, target, "png")
        (row,) = run([job], Upscaler([fake_engine()]), Options(), existing=existing).rows
        assert row.status == "refused"
        assert "is the input itself" in row.error
    assert source.read_bytes() == before


def test_existence_is_decided_before_work_and_watched_after(tmp_path, fake_engine):
    (job,) = jobs_for(tmp_path, tmp_path / "out", 1)

    def interfere(number: int) -> None:
        job.target.parent.mkdir()
        job.target.write_bytes(b"mine")

    engine = Slow(fake_engine, before=interfere)
    (row,) = run([job], Upscaler([engine]), Options()).rows
    assert row.status == "failed"
    assert "meanwhile" in row.error
    assert job.target.read_bytes() == b"mine"


def test_a_folder_that_cannot_be_made(tmp_path, fake_engine):
    (job,) = jobs_for(tmp_path, tmp_path / "file" / "out", 1)
    (tmp_path / "file").touch()
    (row,) = run([job], Upscaler([fake_engine()]), Options()).rows
    assert row.status == "failed"
    assert "Not a directory): check the folder" in row.error


def test_residual_pictures(tmp_path, fake_engine):
    source = picture(tmp_path / "in" / "sub" / "a.png")
    (job,) = plan(
        find([tmp_path / "in"])[0], tmp_path / "out", Options(), residuals=tmp_path / "added"
    )
    assert job.residual == tmp_path / "added" / "sub" / "a.png.residual.png"
    log = Log()
    upscaler = Upscaler([fake_engine(added=0.1)])
    (row,) = run([job], upscaler, Options(), listener=log).rows
    assert row.residual == str(job.residual)
    shown = decode(job.residual.read_bytes())[0]
    expected = upscaler.residual(decode(source.read_bytes())[0])[1]
    assert np.array_equal(shown.rgb, expected.rgb)
    assert log.parts == pytest.approx(1)
    job.target.unlink()
    (row,) = run([job], upscaler, Options()).rows
    assert row.status == "refused"
    assert "residual.png exists" in row.error
    assert run([job], upscaler, Options(), existing="skip").count("done") == 1


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_residual_costs_no_second_pass_and_changes_nothing(tmp_path, fake_engine, scale):
    (job,) = jobs_for(tmp_path, tmp_path / "out", 1)
    results, passes = [], []
    for residual in (None, tmp_path / "added.png"):
        engine = fake_engine(added=0.1)
        job = replace(job, residual=residual)
        run([job], Upscaler([engine]), Options(scale=scale), existing="replace")
        results.append(job.target.read_bytes())
        passes.append(len(engine.shapes))
    assert results[0] == results[1]
    assert passes[0] == passes[1]


def test_a_missing_residual_is_made_beside_a_result_that_is_left_alone(tmp_path, fake_engine):
    (job,) = jobs_for(tmp_path, tmp_path / "out", 1)
    engine = fake_engine(added=0.1)
    run([job], Upscaler([engine]), Options())
    made = job.target.read_bytes()
    job = replace(job, residual=tmp_path / "added.png")
    log = Log()
    (row,) = run([job], Upscaler([engine]), Options(), existing="skip", listener=log).rows
    assert (row.status, row.residual) == ("skipped", str(job.residual))
    assert log.parts == pytest.approx(1)
    expected = Upscaler([engine]).residual(job.source)[1]
    assert np.array_equal(decode(job.residual.read_bytes())[0].rgb, expected.rgb)
    assert job.target.read_bytes() == made
    assert len(engine.shapes) == 3  # the result, its residual, what is expected of that
    assert run([job], Upscaler([engine]), Options(), existing="skip").count("skipped") == 1


def test_lossless_fails_only_where_the_format_cannot(tmp_path, fake_engine):
    inputs = [picture(tmp_path / "a.png"), picture(tmp_path / "b.jpg", kind="jpeg")]
    lossless = Options(lossless=True)
    jobs = plan([Found(path) for path in inputs], tmp_path / "out", lossless)
    report = run(jobs, Upscaler([fake_engine()]), lossless)
    assert [row.status for row in report.rows] == ["done", "failed"]
    assert "without loss" in report.rows[1].error


def test_a_residual_that_appears_meanwhile_stays(tmp_path, fake_engine):
    (job,) = jobs_for(tmp_path, tmp_path / "out", 1)
    job = replace(job, residual=tmp_path / "added.png")
    engine = Slow(fake_engine, before=lambda number: job.residual.write_bytes(b"mine"))
    (row,) = run([job], Upscaler([engine]), Options()).rows
    assert row.status == "failed"
    assert f"{job.residual} has appeared meanwhile" in row.error
    assert job.residual.read_bytes() == b"mine"
    assert not job.target.exists()  # nor is half of it made
