from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import srnet.work
from srnet.batch import preview, run
from srnet.errors import DeviceError, OptionError, PictureError
from srnet.image import Image, decode, encode, from_array
from srnet.naming import Found, Job, find, plan
from srnet.options import Options
from srnet.report import Report, Row
from srnet.upscaler import Upscaler

PNG = Options(format="png")


def picture(path: Path, height: int = 8, width: int = 10, kind: str = "png", seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:height, :width]
    values = 128 + 100 * np.sin(np.stack([x / 3, y / 4, (x + y + seed) / 5], axis=-1))
    path.write_bytes(encode([from_array(values.astype(np.uint8))], kind))
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def jobs_for(folder: Path, out: Path, count: int, **size: int) -> list[Job]:
    return [
        Job(picture(folder / f"{i:03}.png", **size, seed=i), out / f"{i:03}.png", "png")
        for i in range(count)
    ]


class Slow:
    """An engine that takes ``seconds`` for a batch, and calls ``before`` with its number."""

    def __init__(self, fake, seconds: float = 0.0, before=lambda number: None) -> None:
        self.card = fake().card
        self.seconds, self.before = seconds, before
        self.batches, self.busy = 0, 0.0

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for batch in batches:
            start = time.perf_counter()
            self.batches += 1
            self.before(self.batches)
            time.sleep(self.seconds)
            result = batch.repeat(2, axis=1).repeat(2, axis=2)
            self.busy += time.perf_counter() - start
            yield result


class Log:
    def __init__(self) -> None:
        self.count, self.parts, self.rows = 0, 0.0, []
        self.megapixels = 0.0

    def started(self, count: int) -> None:
        self.count = count

    def advanced(self, part: float, megapixels: float) -> None:
        self.parts += part
        self.megapixels += megapixels

    def finished(self, row: Row) -> None:
        self.rows.append(row)


# --- find -----------------------------------------------------------------------------------


def test_find_walks_folders_and_ignores_what_is_no_picture(tmp_path):
    for name in ("b.jpg", "a.PNG", "sub/c.webp", "sub/deep/d.bmp", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in (".hidden.png", ".DS_Store", ".0123.part", ".git/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found, ignored = find([tmp_path])
    assert [(f.path.relative_to(tmp_path).as_posix(), f.folder.as_posix()) for f in found] == [
        ("a.PNG", "."),
        ("b.jpg", "."),
        ("sub/c.webp", "sub"),
        ("sub/deep/d.bmp", "sub/deep"),
    ]
    assert ignored == 4  # three hidden files and the notes; .git is not entered


def test_find_takes_named_files_whatever_they_are_called(tmp_path):
    for name in ("notes.txt", ".hidden"):
        (tmp_path / name).touch()
    found, ignored = find([tmp_path / "notes.txt", tmp_path / ".hidden", tmp_path / "notes.txt"])
    assert [f.path.name for f in found] == ["notes.txt", ".hidden"]  # each once
    assert all(f.named for f in found)
    assert ignored == 0


def test_find_names_every_missing_input(tmp_path):
    with pytest.raises(OptionError, match=r"one\.png, no .*two"):
        find([tmp_path / "one.png", tmp_path / "two"])


def test_find_survives_links_in_a_circle_pipes_and_broken_links(tmp_path):
    folder = tmp_path / "in"
    picture(folder / "sub" / "a.png")
    (folder / "sub" / "loop").symlink_to("..")
    (folder / "self.png").symlink_to("self.png")
    (folder / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(folder / "pipe.png")
    found, _ = find([folder])
    assert [f.path.name for f in found] == ["gone.png", "self.png", "a.png"]


def test_find_leaves_out_the_output_folder_but_not_the_input_itself(tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "out" / "a.png")
    assert [f.path for f in find([tmp_path], [tmp_path / "out"])[0]] == [tmp_path / "a.png"]
    assert len(find([tmp_path], [tmp_path])[0]) == 2


def test_find_reports_an_unreadable_folder_as_a_failure(tmp_path, monkeypatch, fake_engine):
    picture(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "locked").mkdir()
    real = os.scandir

    def scandir(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found, _ = find([tmp_path / "in"])
    assert [f.path.name for f in found] == ["a.png", "locked"]
    report = run(plan(found, tmp_path / "out", Options()), Upscaler([fake_engine()]), Options())
    assert [row.status for row in report.rows] == ["done", "failed"]


# --- names ----------------------------------------------------------------------------------


def targets(inputs: Iterable[str], folder: Path, options: Options = PNG, **more) -> list[str]:
    found = [Found(folder / name) for name in inputs]
    return [job.target.name for job in plan(found, folder / "out", options, **more)]


def test_names_keep_stem_and_a_fitting_suffix(tmp_path):
    picture(tmp_path / "a.JPEG", kind="jpeg")
    picture(tmp_path / "b.jpg", kind="png")  # called wrongly
    (tmp_path / "c.bmp").write_bytes(b"BM")
    (tmp_path / "d").write_bytes(b"what is it")
    picture(tmp_path / "e.tif", kind="tiff")
    still, moving = Image(np.zeros((4, 4, 3), np.uint8)), np.full((4, 4, 3), 255, np.uint8)
    (tmp_path / "f.avif").write_bytes(encode([still], "avif"))
    (tmp_path / "g.webp").write_bytes(encode([still, Image(moving)], "webp"))
    made = targets(names(tmp_path), tmp_path, Options())
    assert made == ["a.JPEG", "b.png", "c.png", "d.png", "e.tif", "f.avif", "g.webp"]
    assert targets(["a.JPEG", "b.jpg"], tmp_path, PNG) == ["a.png", "b.png"]


def test_a_gif_becomes_png_or_webp_as_it_moves_or_not(tmp_path):
    from PIL import Image as Pil

    frames = [Pil.new("L", (4, 4), level) for level in (0, 255)]
    frames[0].save(tmp_path / "still.gif")
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert targets(["still.gif", "moving.gif"], tmp_path, Options()) == ["still.png", "moving.webp"]


def test_pattern(tmp_path):
    fields = {"scale": "2", "model": "photo"}
    pattern = "{stem}_{ext}_x{scale}_{model}{suffix}"
    assert targets(["a.jpg"], tmp_path, pattern=pattern, fields=fields) == ["a_jpg_x2_photo.png"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{stem}_{date}{suffix}", "{date}"),
        ("{stem:>9}{suffix}", "{stem}"),
        ("{stem!r}{suffix}", "{stem}"),
        ("{stem}{0}{suffix}", "placeholder {0}"),
        ("{stem", "--name"),
        ("{stem}.png", "end with"),
        ("../{stem}{suffix}", "folders"),
        ("{stem}_x{scale}{suffix}", "only known with --scale"),
    ],
)
def test_pattern_refusals(tmp_path, pattern, message):
    with pytest.raises(OptionError, match=re.escape(message)):
        targets(["a.jpg"], tmp_path, pattern=pattern, fields={"model": "photo"})


@pytest.mark.parametrize(
    ("inputs", "cure"),
    [
        (("a.jpg", "a.png"), "--name '{stem}-{ext}{suffix}'"),
        (("a.png", "A.png"), "rename one"),
        (("é.png", "é.png"), "rename one"),
        (("one/p.jpg", "two/p.jpg"), "the folder that holds both (..)"),
        (("one/p.jpg", "one/deep/p.jpg"), "the folder that holds both (../one)"),
        (("one/p.jpg", "two/p.png"), "--name '{stem}-{ext}{suffix}'"),
    ],
)
def test_two_pictures_with_one_target_are_refused(tmp_path, monkeypatch, inputs, cure):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(OptionError, match="would both become") as caught:
        targets(inputs, tmp_path)
    assert all(name in str(caught.value) for name in inputs)
    assert cure in str(caught.value)
    assert ("--name" in str(caught.value)) is ("--name" in cure)


def test_the_cures_for_a_clash_work(tmp_path):
    made = targets(["a.jpg", "a.png"], tmp_path, pattern="{stem}-{ext}{suffix}")
    assert made == ["a-jpg.png", "a-png.png"]
    for name in ("one/p.jpg", "two/p.jpg"):
        picture(tmp_path / "both" / name, kind="jpeg")
    jobs = plan(find([tmp_path / "both"])[0], tmp_path / "out", Options())
    assert [job.target for job in jobs] == [tmp_path / "out" / n / "p.jpg" for n in ("one", "two")]


def test_a_target_that_is_another_input_is_refused(tmp_path):
    found = [Found(tmp_path / "a.jpg"), Found(tmp_path / "a.png", Path("sub"))]
    with pytest.raises(OptionError, match="is an input itself"):
        plan(found, tmp_path, PNG)


def test_results_beside_their_inputs_are_not_taken_for_inputs_again(tmp_path):
    for name in ("a.png", "a_x2.png", "b.png"):
        picture(tmp_path / name)
    found, _ = find([tmp_path], [tmp_path])
    fields = {"scale": "2", "model": "fake"}
    jobs = plan(found, tmp_path, PNG, pattern="{stem}_x{scale}{suffix}", fields=fields)
    assert [(j.source.name, j.target.name) for j in jobs] == [
        ("a.png", "a_x2.png"),
        ("b.png", "b_x2.png"),
    ]


def test_in_place_is_no_clash(tmp_path):
    picture(tmp_path / "a.png")
    assert targets(["a.png"], tmp_path) == ["a.png"]
    (job,) = plan(find([tmp_path])[0], tmp_path, PNG)
    assert job.target == job.source


# --- run ------------------------------------------------------------------------------------


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
    monkeypatch.setattr(srnet.work, "read_file", None)
    assert run(jobs, upscaler, Options(), existing="skip").count("skipped") == 3


def test_skipping_an_input_that_cannot_be_read_is_a_failure(tmp_path, fake_engine):
    (job,) = jobs_for(tmp_path, tmp_path / "out", 1)
    run([job], Upscaler([fake_engine()]), Options())
    job.source.write_bytes(b"gone")
    (row,) = run([job], Upscaler([fake_engine()]), Options(), existing="skip").rows
    assert row.status == "failed"
    assert "000.png cannot be decoded" in row.error


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
    assert "cannot make the folder" in row.error


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

    def full(self, data):
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    (row,) = run([job], Upscaler([fake_engine()]), Options()).rows
    assert "No space left" in row.error
    assert names(tmp_path / "out") == []


# --- report ---------------------------------------------------------------------------------


def test_report_json():
    name = os.fsdecode(b"a\xff.png")
    rows = [
        Row(name, "o.png", "done", (2, 3), (4, 6), 2, ("m-x2",), {"network": 1.5}, 0.1, 40.5),
        Row("b.png", "p.png", "failed", error="why"),
        Row("c.png", "q.png", "pending"),
    ]
    report = Report(rows, 2.0, interrupted=True, ignored=4, settings={"scale": 2.0})
    text = report.to_json()
    assert text.isascii()
    found = json.loads(text)
    assert found["schema"] == 1
    known = {"srnet", "python", "torch", "openvino", "numpy", "pillow", "opencv"}
    assert set(found["versions"]) == known
    assert found["settings"] == {"scale": 2.0}
    assert found["interrupted"] is True
    totals = found["totals"]
    assert (totals["done"], totals["failed"], totals["pending"], totals["ignored"]) == (1, 1, 1, 4)
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
