"""Dry runs, reports, what is printed."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from rich.console import Console
from rich.progress import Progress, TextColumn

from srnet.cli.console import Bar
from srnet.image import encode, from_array
from srnet.report import Row
from tests.cli.support import picture, pixels


def report_of(capsys) -> dict:
    return json.loads(capsys.readouterr().out)


def test_dry_run_writes_nothing(up, here, capsys):
    (here / "bad.jpg").write_bytes(b"nothing")
    assert up(".", "-o", "out", "-s", "3", "--dry-run") == 1
    said = capsys.readouterr()
    assert said.out == "a.png -> out/a.png  10x8 -> 30x24  planned\n"
    assert "1 of 2 pictures would fail:\n  bad.jpg is not a picture" in said.err
    assert "1 planned, 1 failed" in said.err
    assert sorted(p.name for p in here.iterdir()) == ["a.png", "bad.jpg"]
    assert up("a.png", "-o", "out", "--dry-run", "--json", "--skip-existing") == 0
    report = report_of(capsys)
    assert (report["dry_run"], report["totals"]["planned"]) == (True, 1)


def test_planned_is_the_same_before_and_after(up, here, capsys):
    picture(here / "b.png")
    (here / "bad.jpg").write_bytes(b"nothing")
    (here / "out").mkdir()
    picture(here / "out" / "b.png", height=16, width=20)
    planned = {}
    for more in ([], ["--dry-run"]):
        assert up(".", "-o", "out", "--skip-existing", "--report", "-", "--quiet", *more) == 1
        report = report_of(capsys)
        planned[report["dry_run"]] = report["totals"]["planned"]
        Path("out/a.png").unlink(missing_ok=True)
    assert planned == {False: 1, True: 1}


def test_dry_run_refuses_what_the_run_refuses(up, here, capsys):
    bright = replace(from_array(pixels()), cicp=(9, 16))
    (here / "bright.png").write_bytes(encode([bright], "png"))
    tifffile.imwrite("float.tif", np.zeros((8, 10), np.float32))
    for more in (["--dry-run"], []):
        for name, reason in (("bright.png", "high dynamic range"), ("float.tif", "samples")):
            assert up(name, "-o", "out.jpg", *more) == 1
            assert reason in capsys.readouterr().err
    assert up("bright.png", "-o", "out.png", "--dry-run") == 0


def test_dry_run_says_what_is_there_already(up, here, capsys):
    for name in ("b.png", "c.png"):
        picture(here / name)
    picture(here / "out" / "a.png")
    (here / "out" / "b.png").mkdir()
    assert up("a.png", "b.png", "c.png", "-o", "out", "--dry-run") == 1
    said = capsys.readouterr()
    assert said.out == "c.png -> out/c.png  10x8 -> 20x16  planned\n"
    assert "2 of 3 pictures would not be made, as something is there already:" in said.err
    assert "  out/a.png exists: use --overwrite or --skip-existing" in said.err
    assert "fail" not in said.err


def test_report_and_json_are_the_same(up, here, tiny_weights, capsys):
    picture(here / "a.png", height=160, width=200)
    arguments = ["--report", "report.json", "--json", "-s", "2", "--jobs", "3"]
    assert up("a.png", "-o", "out", *arguments) == 0
    report = report_of(capsys)
    assert report == json.loads(Path("report.json").read_text())
    assert report["schema"] == 1
    assert report["settings"]["model"] == str(tiny_weights[2])
    assert (report["settings"]["scale"], report["settings"]["jobs"]) == (2.0, 3)
    (ran,) = report["settings"]["ran"].items()
    assert ran[0] == "tiny-x2"
    assert ran[1].split() in [
        [e, p] for e in ("torch", "openvino") for p in ("float32", "bfloat16")
    ]
    (row,) = report["files"]
    assert row["models"] == ["tiny-x2"]
    assert row["input_size"] == [200, 160]
    assert row["output_size"] == [400, 320]
    assert row["consistency_db"] > 10
    assert row["megapixels_per_second"] > 0
    assert set(row["seconds"]) == {"decode", "load", "network", "encode"}


def test_quiet_prints_errors_only(up, here, capsys):
    assert up("a.png", "-o", "b.png", "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    (here / "bad.png").touch()
    assert up("bad.png", "-o", "out", "--quiet") == 1
    assert "bad.png" in capsys.readouterr().err


def test_a_terminal_gets_a_bar(up, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert up("a.png", "-o", "b.png") == 0
    said = capsys.readouterr().err
    assert "1/1 files" in said
    assert "MP/s" in said
    assert "[1/1]" not in said


def test_bar_counts_files_and_parts():
    screen = io.StringIO()
    columns = (TextColumn("{task.fields[files]}"), TextColumn("{task.fields[rate]}"))
    progress = Progress(*columns, console=Console(file=screen))
    bar = Bar(progress)
    bar.started(2)
    bar.advanced(0.5, 1.0)
    bar.advanced(0.5, 1.0)
    bar.finished(Row("a[b].png", "o.png", "failed", error="why"))
    (task,) = progress.tasks
    assert (task.completed, task.total) == (1, 2)
    assert task.fields["files"] == "1/2 files"
    assert task.fields["rate"].endswith(" MP/s")
    assert "a[b].png: failed" in screen.getvalue()


@pytest.mark.parametrize("name", ["a.png", "out.png", "added/out.png.residual.png"])
def test_a_report_never_takes_the_place_of_a_picture(up, here, capsys, name):
    before = Path("a.png").read_bytes()
    assert up("a.png", "-o", "out.png", "--residual", "added", "--report", name) == 2
    assert "is a picture of this run" in capsys.readouterr().err
    assert Path("a.png").read_bytes() == before
    assert not Path("out.png").exists()


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
@pytest.mark.parametrize("content", [b"\x89PNG precious", b'{"mine": 1}\n', b"{"])
def test_a_report_replaces_nothing_but_a_report(up, here, capsys, content, more):
    Path("precious.png").write_bytes(content)
    assert up("a.png", "-o", "out/", "--report", "precious.png", *more) == 2
    said = capsys.readouterr().err
    assert "--report: precious.png is there and was not written by --report: choose" in said
    assert Path("precious.png").read_bytes() == content
    assert not Path("out").exists()


def test_an_earlier_report_is_replaced(up, here):
    report = Path("report.json")
    report.touch()
    for name in ("b.png", "c.png"):
        assert up("a.png", "-o", name, "--report", report, "--quiet") == 0
        assert json.loads(report.read_text())["files"][0]["output"] == name
