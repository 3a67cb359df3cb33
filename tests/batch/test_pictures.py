"""One picture of many: its report, its failure."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from srnet.batch import preview, run
from srnet.errors import DeviceError, OptionError
from srnet.image import decode, encode, from_array
from srnet.naming import Job
from srnet.options import Options
from srnet.tiles import least
from srnet.upscaler import Upscaler
from tests.batch.support import Log, Slow, jobs_for, names, picture


def test_report_of_a_picture(tmp_path, fake_engine):
    (job,) = jobs_for(tmp_path, tmp_path / "out" / "deep", 1)
    report = run([job], Upscaler([fake_engine()]), Options(scale=3))
    (row,) = report.rows
    assert (row.status, row.error) == ("done", None)
    assert (row.input, row.output) == (str(job.source), str(job.target))
    assert (row.input_size, row.output_size, row.frames) == ((10, 8), (30, 24), 1)
    assert row.models == ("fake-x2", "fake-x2")
    assert set(row.seconds) == {"decode", "load", "network", "encode"}
    assert all(seconds >= 0 for seconds in row.seconds.values())
    assert row.megapixels == pytest.approx(30 * 24 / 1e6)
    assert row.megapixels_per_second > 0
    assert row.consistency_db > 30  # bicubic keeps what was there
    result = decode(job.target.read_bytes())[0]
    assert (result.width, result.height) == (30, 24)


def test_loading_is_no_time_of_the_network(tmp_path, fake_engine):
    class Slow(type(fake_engine())):
        ready = False

        def run(self, batches):
            if not self.ready:
                time.sleep(0.5)
                self.ready = True
            yield from super().run(batches)

    first, second = run(jobs_for(tmp_path, tmp_path / "out", 2), Upscaler([Slow()]), Options()).rows
    assert sorted(row.seconds["load"] >= 0.5 for row in (first, second)) == [False, True]
    assert first.seconds["network"] + second.seconds["network"] < 0.5


def test_consistency_tells_an_unfaithful_network(tmp_path, fake_engine):
    (job,) = jobs_for(tmp_path, tmp_path / "out", 1)
    (row,) = run([job], Upscaler([fake_engine(added=0.2)]), Options()).rows
    assert row.consistency_db < 16


def test_no_consistency_where_the_result_is_smaller(tmp_path, fake_engine):
    (job,) = jobs_for(tmp_path, tmp_path / "out", 1)
    (row,) = run([job], Upscaler([fake_engine()]), Options(width=5)).rows
    assert (row.status, row.output_size, row.consistency_db) == ("done", (5, 4), None)


def test_hidden_colours_do_not_count_as_unfaithful(tmp_path, fake_engine):
    rgba = np.full((16, 16, 4), 200, np.uint8)
    rgba[:, 8:, 3], rgba[:, 8:, :3] = 0, 0
    source = tmp_path / "a.png"
    source.write_bytes(encode([from_array(rgba)], "png"))
    (row,) = run(
        [Job(source, tmp_path / "o.png", "png")], Upscaler([fake_engine()]), Options()
    ).rows
    assert row.consistency_db > 60


def test_a_bad_file_does_not_stop_the_others(tmp_path, fake_engine):
    jobs = jobs_for(tmp_path, tmp_path / "out", 4)
    jobs[1].source.write_bytes(jobs[1].source.read_bytes()[:60])
    jobs[2].source.unlink()
    log = Log()
    report = run(jobs, Upscaler([fake_engine()]), Options(), listener=log)
    assert [row.status for row in report.rows] == ["done", "failed", "failed", "done"]
    assert str(jobs[1].source) in report.rows[1].error
    assert "No such file" in report.rows[2].error
    assert names(tmp_path / "out") == ["000.png", "003.png"]
    assert log.count == len(log.rows) == 4
    assert log.parts == pytest.approx(4)
    assert log.megapixels == pytest.approx(2 * 16 * 20 / 1e6)


def test_even_a_bug_is_one_failure_only(tmp_path, fake_engine, monkeypatch):
    jobs = jobs_for(tmp_path, tmp_path / "out", 3)
    upscaler = Upscaler([fake_engine()])

    def decode_badly(data, name, options):
        if name.endswith("001.png"):
            raise ZeroDivisionError("oh")
        if name.endswith("002.png"):
            raise MemoryError
        return Upscaler.decode(upscaler, data, name, options)

    monkeypatch.setattr(upscaler, "decode", decode_badly)
    report = run(jobs, upscaler, Options())
    assert [row.status for row in report.rows] == ["done", "failed", "failed"]
    assert "ZeroDivisionError: oh" in report.rows[1].error
    assert "not enough memory" in report.rows[2].error


def test_a_network_that_cannot_run_ends_the_run_at_once(tmp_path, fake_engine):
    def fail(number: int) -> None:
        raise DeviceError("no device")

    engine = Slow(fake_engine, before=fail)
    with pytest.raises(DeviceError, match="no device"):
        run(jobs_for(tmp_path, tmp_path / "out", 20), Upscaler([engine]), Options())
    assert engine.batches == 1
    assert not (tmp_path / "out").exists()


@pytest.fixture
def sizes(tmp_path):
    """Jobs of which one fits into a tile, in both orders."""
    jobs = [
        Job(picture(tmp_path / f"{height}.png", height, 2), tmp_path / "out" / f"{height}.png")
        for height in (2, 100)
    ]
    return jobs, jobs[::-1]


def test_too_small_a_tile_is_refused_whichever_picture_comes_first(tmp_path, fake_engine, sizes):
    engine = fake_engine()
    options = Options(tile=least(engine.card.halo) - 1)
    for jobs in (*sizes, sizes[0][:1]):
        for act in (preview, run):
            with pytest.raises(OptionError, match=r"a tile of .* pixels is too small"):
                act(jobs, Upscaler([engine]), options)
    assert not (tmp_path / "out").exists()
    assert run(sizes[0], Upscaler([engine]), replace(options, strength=0)).count("done") == 2


def test_where_the_networks_hang_on_the_picture_a_tile_fails_what_it_is_too_small_for(
    tmp_path, fake_engine, sizes
):
    engine = fake_engine()
    options = Options(tile=least(engine.card.halo) - 1, width=4)
    for jobs in sizes:
        for act, good in ((preview, "planned"), (run, "done")):
            report = act(jobs, Upscaler([engine]), options, existing="replace")
            found = {row.input_size: row.status for row in report.rows}
            assert found == {(2, 2): good, (2, 100): "failed"}


def test_a_device_that_fails_later_fails_one_picture(tmp_path, fake_engine):
    def fail(number: int) -> None:
        if number == 2:
            raise DeviceError("not enough memory")

    report = run(
        jobs_for(tmp_path, tmp_path / "out", 4),
        Upscaler([Slow(fake_engine, before=fail)]),
        Options(),
    )
    assert (report.count("done"), report.count("failed")) == (3, 1)


def test_the_name_of_the_result_decides_what_fits(tmp_path, fake_engine):
    wide = picture(tmp_path / "wide.webp", 1, 9000, "webp")
    clear = tmp_path / "clear.webp"
    rgba = np.zeros((4, 4, 4), np.uint8)
    clear.write_bytes(encode([from_array(rgba)], "webp", lossless=True))
    engine = fake_engine()
    jobs = [
        Job(wide, tmp_path / "wide-out.png", "png"),
        Job(wide, tmp_path / "wide-out.webp", "webp"),
        Job(clear, tmp_path / "clear-out.jpg", "jpeg"),
    ]
    rows = run(jobs, Upscaler([engine]), Options()).rows
    assert [row.status for row in rows] == ["done", "failed", "failed"]
    assert "16383" in rows[1].error
    assert "background" in rows[2].error
    assert len(engine.shapes) == 1  # nothing ran for the other two
