"""Results that are there already, and inputs that are bad."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.support import picture, size


def test_an_existing_result_is_an_error_for_that_file_only(up, here, capsys):
    picture(here / "b.png")
    (here / "out").mkdir()
    (here / "out" / "a.png").write_bytes(b"mine")
    assert up("a.png", "b.png", "-o", "out") == 1
    assert "out/a.png exists" in capsys.readouterr().err
    assert Path("out/a.png").read_bytes() == b"mine"
    assert Path("out/b.png").exists()


def test_skip_existing_goes_on(up, here, capsys):
    (here / "out").mkdir()
    mine = picture(here / "out" / "a.png", height=16, width=20).read_bytes()
    picture(here / "b.png")
    assert up("a.png", "b.png", "-o", "out", "--skip-existing") == 0
    assert "1 done, 1 skipped" in capsys.readouterr().err
    assert up("a.png", "b.png", "-o", "out", "--skip-existing") == 0  # nothing left is fine
    assert Path("out/a.png").read_bytes() == mine


def test_skip_existing_does_not_pass_over_another_size(up, capsys):
    assert up("a.png", "-o", "b.png") == 0
    assert up("a.png", "-o", "b.png", "--skip-existing", "-s", "3") == 1
    said = capsys.readouterr().err
    assert "1 of 1 pictures not made, as something is there already" in said
    assert "b.png exists, but not with the 30 x 24 pixels that this run would make" in said
    assert size(Path("b.png")) == (20, 16)


def test_skip_existing_makes_a_missing_residual(up, capsys):
    assert up("a.png", "-o", "b.png") == 0
    before = Path("b.png").stat().st_mtime_ns
    arguments = ["a.png", "-o", "b.png", "--skip-existing", "--residual", "added"]
    line = "a.png -> b.png  10x8 -> 20x16  skipped, residual: added/b.png.residual.png"
    capsys.readouterr()
    assert up(*arguments, "--dry-run") == 0
    assert capsys.readouterr() == (
        f"{line}\n",
        "1 skipped, 1 residual to make of results that were there\n",
    )
    assert up(*arguments) == 0
    assert capsys.readouterr().err == (
        f"[1/1] {line}\n1 skipped, 1 residual made of results that were there\n"
    )
    assert size(Path("added/b.png.residual.png")) == (20, 16)
    assert Path("b.png").stat().st_mtime_ns == before


def test_overwrite(up):
    Path("b.png").write_bytes(b"old")
    assert up("a.png", "-o", "b.png", "--overwrite") == 0
    assert size(Path("b.png")) == (20, 16)


def test_an_input_is_overwritten_only_when_asked(up, here, capsys):
    before = Path("a.png").read_bytes()
    for out in ("a.png", "."):
        for more in ([], ["--skip-existing"]):
            assert up("a.png", "-o", out, *more) == 1
            assert "a.png is the input itself" in capsys.readouterr().err
    assert Path("a.png").read_bytes() == before
    assert up("a.png", "-o", ".", "--overwrite") == 0
    assert size(Path("a.png")) == (20, 16)


def test_one_bad_file(up, here, capsys):
    (here / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    assert up(".", "-o", "out", "--report", "report.json") == 1
    said = capsys.readouterr().err
    assert "1 of 2 pictures failed" in said
    assert said.count("bad.jpg cannot be decoded") == 1
    assert "Traceback" not in said
    assert Path("out/a.png").exists()
    rows = json.loads(Path("report.json").read_text())["files"]
    assert [(row["input"], row["status"]) for row in rows] == [
        ("a.png", "done"),
        ("bad.jpg", "failed"),
    ]
    assert "bad.jpg" in rows[1]["error"]


def test_a_named_file_is_tried_whatever_its_name(up, here, capsys):
    (here / "notes.txt").write_text("not a picture")
    picture(here / "picture.dat")
    assert up("notes.txt", "picture.dat", "-o", "out") == 1
    assert "notes.txt is not a picture" in capsys.readouterr().err
    assert size(Path("out/picture.png")) == (20, 16)


def test_all_failed(up, here):
    Path("a.png").write_bytes(b"")
    assert up("a.png", "-o", "out") == 1
    assert list(Path("out").rglob("*")) == []


def test_no_pictures(up, here, capsys):
    (here / "in").mkdir()
    (here / "in" / "notes.txt").touch()
    assert up("in", "-o", "out") == 3
    assert "srnet: error: no pictures" in capsys.readouterr().err
    assert not Path("out").exists()


@pytest.mark.parametrize("more", [["--overwrite"], ["--skip-existing"], []])
@pytest.mark.parametrize("letter", ["x", "\u00e9"])  # of which 255 and 127 fit
def test_a_residual_of_too_long_a_name_is_refused_before_work(up, here, capsys, letter, more):
    long = letter * (250 // len(letter.encode())) + ".png"
    picture(here / "in" / long)
    picture(here / "in" / "b.png")
    for act in ("--dry-run", "--quiet"):
        assert up("in", "-o", "out", "--residual", "new/added", act, *more) == 1
        said = capsys.readouterr().err
        assert f"{long}.residual.png is a longer name than files can have: rename the" in said
        assert not (here / "out" / long).exists()
    assert size(Path("out/b.png")) == (20, 16)


def test_a_result_of_too_long_a_name_is_refused_before_work(up, here, capsys):
    picture(here / "in" / f"{'x' * 250}.png")
    assert up("in", "-o", "out", "--name", "{stem}_large{suffix}", "--dry-run") == 1
    assert "or choose shorter names with --name" in capsys.readouterr().err
