"""Which files of a folder are inputs."""

from __future__ import annotations

import os
from pathlib import Path

import PIL.Image
import pytest

from srnet.batch import run
from srnet.errors import OptionError
from srnet.image import decode
from srnet.naming import find, plan
from srnet.options import Options
from srnet.upscaler import Upscaler
from tests.batch.support import picture


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
    assert [path.relative_to(tmp_path).as_posix() for path in ignored] == [
        *(".0123.part", ".DS_Store", ".hidden.png", "notes.txt")  # .git is not entered
    ]


def test_find_takes_named_files_whatever_they_are_called(tmp_path):
    for name in ("notes.txt", ".hidden"):
        (tmp_path / name).touch()
    found, ignored = find([tmp_path / "notes.txt", tmp_path / ".hidden", tmp_path / "notes.txt"])
    assert [f.path.name for f in found] == ["notes.txt", ".hidden"]  # each once
    assert all(f.named for f in found)
    assert not ignored


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
    (folder / "piped.png").symlink_to("pipe.png")
    (folder / "linked.png").symlink_to("sub/a.png")
    found, ignored = find([folder])
    assert [f.path.name for f in found] == ["gone.png", "linked.png", "self.png", "a.png"]
    assert [path.name for path in ignored] == ["pipe.png", "piped.png", "loop"]


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


def test_a_folder_that_may_be_listed_but_not_entered_costs_its_own_pictures_only(
    tmp_path, monkeypatch, fake_engine
):
    for name in ("closed/b.png", "closed/deep/c.png", "ok/a.png"):
        picture(tmp_path / "in" / name)
    for name in ("stat", "open"):
        real = getattr(Path, name)

        def refuse(path, *arguments, real=real, **more):
            if "closed" in path.parts[:-1]:
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, *arguments, **more)

        monkeypatch.setattr(Path, name, refuse)
    found, ignored = find([tmp_path / "in"])
    assert [f.path.name for f in found] == ["b.png", "c.png", "a.png"]
    assert not ignored
    report = run(plan(found, tmp_path / "out", Options()), Upscaler([fake_engine()]), Options())
    assert [row.status for row in report.rows] == ["failed", "failed", "done"]
    assert report.rows[0].error == f"cannot read {found[0].path}: Permission denied"


def test_find_takes_pictures_of_several_views(tmp_path):
    views = [PIL.Image.new("RGB", (9, 8), colour) for colour in ("red", "blue")]
    views[0].save(tmp_path / "a.mpo", "MPO", save_all=True, append_images=views[1:])
    found, ignored = find([tmp_path], [])
    assert [item.path.name for item in found] == ["a.mpo"]
    assert not ignored
    assert decode((tmp_path / "a.mpo").read_bytes())[0].rgb.shape == (8, 9, 3)
