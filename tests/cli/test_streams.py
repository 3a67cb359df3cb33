"""Standard streams, odd names, being interrupted."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import srnet.product
from srnet.cli import main
from srnet.cli.console import conclude, shown
from srnet.image import decode
from srnet.report import Report, Row, Status
from srnet.upscaler import Upscaler
from tests.cli.support import ROOT, Interrupting, picture, read, size


def srnet_process(*arguments: str, **options) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "srnet", *arguments]
    return subprocess.run(
        command, capture_output=True, env=environment, check=False, timeout=120, **options
    )


def test_standard_input_to_standard_output(here, tiny_weights):
    done = srnet_process(
        *("upscale", "-", "-m", str(tiny_weights[2]), "-f", "webp", "--lossless"),
        input=Path("a.png").read_bytes(),
    )
    assert done.returncode == 0, done.stderr
    image = decode(done.stdout)[0]
    assert (image.format, image.width, image.height) == ("WEBP", 20, 16)
    assert b"[1/1] - -> -" in done.stderr


class Bytes(io.TextIOWrapper):
    def __init__(self, data: bytes = b"", tty: bool = False) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")
        self.tty = tty

    def isatty(self) -> bool:
        return self.tty


def test_streams_and_files_mix(up, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Bytes(Path("a.png").read_bytes()))
    assert up("-", "-o", "b.jpg", "--residual", "added") == 0
    assert read(Path("b.jpg")).format == "JPEG"
    assert Path("added/b.jpg.residual.png").exists()
    out = Bytes()
    monkeypatch.setattr(sys, "stdout", out)
    assert up("a.png", "-o", "-") == 0
    assert decode(out.buffer.getvalue())[0].format == "PNG"


def test_terminals_are_no_pictures(up, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", Bytes(tty=True))
    assert up("-", "-o", "b.png") == 2
    assert "terminal" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdout", Bytes(tty=True))
    assert up("a.png", "-o", "-") == 2


def test_streams_that_are_closed_are_no_bug(up, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", None)
    assert up("-", "-o", "b.png") == 2
    assert "standard input is closed: redirect" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdout", None)
    assert up("a.png", "-o", "-") == 2
    assert "standard output is closed: give -o FILE" in capsys.readouterr().err
    assert up("a.png", "-o", "b.png", "--json") == 1
    assert "cannot write to standard output: it is closed" in capsys.readouterr().err
    assert Path("b.png").exists()


class Full(Bytes):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("more", [["--json"], ["--report", "-"], ["--dry-run"]])
def test_a_full_disk_takes_no_report(up, monkeypatch, capsys, more):
    monkeypatch.setattr(sys, "stdout", Full())
    assert up("a.png", "-o", "b.png", *more) == 1
    counted, error = capsys.readouterr().err.splitlines()[-2:]
    assert counted.startswith(("1 done", "1 planned"))  # what was made is told all the same
    assert error == "srnet: error: cannot write to standard output: No space left on device"


@pytest.mark.parametrize("option", ["", "--json", "--markdown"])
def test_a_full_disk_takes_no_information(monkeypatch, capsys, option):
    monkeypatch.setattr(sys, "stdout", Full())
    assert main(["info", *option.split()]) == 1
    assert "cannot write to standard output: No space left" in capsys.readouterr().err


def test_a_pipe_is_read_once_and_waits_where_it_can_be_interrupted(here, tiny_weights, up):
    os.mkfifo(here / "pipe.png")
    writer = subprocess.Popen(["cp", "a.png", "pipe.png"])
    assert up("pipe.png", "-o", "b.png") == 0
    assert (writer.wait(10), size(Path("b.png"))) == (0, (20, 16))
    picture(here / "there" / "pipe.png")
    assert up("pipe.png", "a.png", "-o", "there/") == 1  # refused, not waited for
    assert size(here / "there" / "a.png") == (20, 16)
    command = ["upscale", "pipe.png", "-o", "out/", "-m", str(tiny_weights[2])]
    waiting = subprocess.Popen(
        [sys.executable, "-m", "srnet", *command], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(3)
    waiting.terminate()
    assert waiting.wait(10) == 130


def test_a_file_called_dash_is_reached_through_its_folder(up, here):
    picture(here / "-")
    assert up("./-", "-o", "b.png") == 0
    assert size(Path("b.png")) == (20, 16)


@pytest.fixture
def odd(here):
    """A folder ``in`` with names that are not UTF-8, not ASCII, and not harmless."""
    names = (
        os.fsdecode(b"\xff\xfe caf\xe9 \xe6\x97\xa5 [b].png"),
        "\u00fcn\u00ef \u65e5\u672c.png",
    )
    for name in names:
        picture(here / "in" / name)
    return sorted(names)


def test_names_that_are_no_text(up, odd, capsys):
    assert up("in", "-o", "out", "--json", "--report", "report.json") == 0
    assert sorted(p.name for p in Path("out").iterdir()) == odd
    said = capsys.readouterr()
    rows = json.loads(said.out)["files"]
    assert sorted(Path(row["input"]).name for row in rows) == odd  # exactly
    assert "\\udcff\\udcfe caf\\udce9 \u65e5 [b].png" in said.err
    assert "\u00fcn\u00ef \u65e5\u672c.png" in said.err


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_names_in_any_encoding_of_the_streams(odd, tiny_weights, monkeypatch, encoding):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    done = srnet_process("upscale", "in", "-o", "out", "-m", str(tiny_weights[2]), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"planned") == 2
    assert b"\\udcff\\udcfe caf\\udce9" in done.stdout


def test_shown_cannot_harm_a_terminal():
    assert shown("a\x1b[2Jb\nc\udcff [x] é 日") == "a\\x1b[2Jb\\nc\\udcff [x] é 日"


@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_ctrl_c_says_how_to_go_on(up, here, fake_engine, ctrl_c, monkeypatch, capsys, more):
    for i in range(12):
        picture(here / "in" / f"{i:02}.png", height=40, width=40)
    engine = Interrupting(fake_engine, ctrl_c)
    monkeypatch.setattr(srnet.product, "load", lambda *_, **__: Upscaler([engine]))
    code = up("in", "-o", "out", "--tile", "32", "--report", "report.json", *more)
    assert code == 130
    said = capsys.readouterr().err
    assert "srnet: interrupted after " in said
    assert ("--skip-existing" in said) is (more == [])
    report = json.loads(Path("report.json").read_text())
    done, pending = report["totals"]["done"], report["totals"]["pending"]
    assert report["interrupted"]
    assert done + pending == 12
    assert pending > 0
    assert len(list(Path("out").iterdir())) == done
    assert up("in", "-o", "out", "--skip-existing") == 0
    assert len(list(Path("out").iterdir())) == 12


def test_ctrl_c_in_place_names_what_is_left(up, here, fake_engine, ctrl_c, monkeypatch, capsys):
    folders = ["in"] * 3 + ["in/deep"] * 3
    for i, folder in enumerate(folders):
        picture(here / folder / f"{i:02}.png", height=40, width=40)
    engine = Interrupting(fake_engine, ctrl_c)
    monkeypatch.setattr(srnet.product, "load", lambda *_, **__: Upscaler([engine]))
    assert up("in", "-o", "in", "--tile", "32", "--overwrite") == 130
    said = capsys.readouterr().err
    assert (
        "do not start it again, or what took the place of its input would be enlarged once" in said
    )
    left = [line.split(" -> ") for line in said.splitlines() if line.startswith("  ")]
    assert f"Name only the {len(left)} left, with -o the folder of the result:" in said
    assert 0 < len(left) < 6
    for source, target in left:  # as told
        assert up(source.strip(), "-o", Path(target).parent, "--overwrite") == 0
    assert {size(path) for path in (here / "in").rglob("*.png")} == {(80, 80)}


def row(name: str, status: Status) -> Row:
    return Row(f"{name}.png", f"{name}.png", status)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([row("a", "done")], "after 1 of 1: nothing is left to do"),
        ([row("a", "pending")], "after 0 of 1: start it again"),
        ([row("a", "failed"), row("b", "pending")], "after 0 of 2: start it again"),
    ],
)
def test_what_an_interrupted_run_in_place_has_not_touched(here, capsys, rows, told):
    assert conclude(Report(rows, interrupted=True), ["."], overwrite=True, quiet=True) == 130
    assert capsys.readouterr().err.endswith(f"srnet: interrupted {told}\n")
