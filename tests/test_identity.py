"""Which paths may be one file: disks differ in whether the case of a name counts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from srnet.errors import OptionError
from srnet.identity import identity, is_same
from srnet.naming import find, plan
from srnet.options import Options
from tests.batch.support import names, picture


@pytest.fixture
def telling(tmp_path):
    """A folder on a disk that tells ``a`` from ``A``."""
    (tmp_path / "a").touch()
    if (tmp_path / "A").exists():
        pytest.skip("this disk ignores case")
    return tmp_path


@pytest.fixture
def ignoring(tmp_path, monkeypatch):
    """A folder, with a file in it, that seems to be on a disk that ignores case."""
    there = Path.lstat
    (tmp_path / "some.txt").touch()
    monkeypatch.setattr(Path, "lstat", lambda path: there(path.with_name(path.name.lower())))
    return tmp_path


PAIRS = [("A.png", "a.png"), ("Straße.png", "Strasse.png"), ("É.png", "é.png")]


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("out", ["in", "out", "new/deep"])
def test_a_folder_of_names_that_differ_in_case_is_kept_where_case_counts(telling, pair, out):
    for name in pair:
        picture(telling / "in" / name)
    (telling / "out").mkdir()  # empty: what is beside it shows how the disk is
    jobs = plan(find([telling / "in"])[0], telling / out, Options())
    assert sorted(job.target.name for job in jobs) == names(telling / "in") == sorted(pair)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_where_case_does_not_count_such_names_are_one(ignoring, a, b):
    assert identity(ignoring / a) == identity(ignoring / b)
    assert identity(ignoring / "new" / a) == identity(ignoring / "new" / b)
    assert identity(ignoring / a) != identity(ignoring / "else.png")


def test_where_two_names_lie_beside_each_other_case_counts(telling):
    for name in ("a.png", "A.png"):
        picture(telling / "in" / name)
    assert identity(telling / "in" / "b.png") != identity(telling / "in" / "B.png")


def test_what_cannot_be_told_counts_as_one(tmp_path, monkeypatch):
    def closed(place):
        raise PermissionError(place)

    monkeypatch.setattr(os, "scandir", closed)
    assert identity(tmp_path / "a.png") == identity(tmp_path / "A.png")


def test_normal_forms_count_as_one_everywhere(telling):
    assert identity(telling / "\u00e9.png") == identity(telling / "e\u0301.png")


def test_two_inputs_of_one_target_are_refused_where_case_counts_too(telling):
    for name in ("one/A.png", "two/a.png", "three/a.png"):
        picture(telling / name)
    found, _ = find([telling / folder for folder in ("one", "two", "three")])
    with pytest.raises(OptionError, match=r"two/a\.png and .*three/a\.png would both become"):
        plan(found, telling / "out", Options())


def test_same(tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "nowhere").symlink_to("b")
    assert is_same(tmp_path / "a", tmp_path / "link")
    assert not is_same(tmp_path / "a", tmp_path / "nowhere")
    assert not is_same(tmp_path / "nowhere", tmp_path / "nowhere")
