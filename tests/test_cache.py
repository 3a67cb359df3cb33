"""The cache: whole or absent, whatever happens to its files."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from srnet import cache
from srnet.cache import Cache, key

PARTS = {"one": b"1\n2", "two": bytes(range(256)), "none": b""}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    kept = Cache(tmp_path / "deep" / "folder")
    assert kept.read("a") is None
    kept.write("a", PARTS)
    kept.write("a", PARTS)
    assert kept.read("a") == PARTS
    assert [path.name for path in kept.folder.iterdir()] == ["a.bin"]


def test_any_damage_makes_an_entry_absent(tmp_path: Path) -> None:
    kept = Cache(tmp_path)
    kept.write("a", PARTS)
    file = tmp_path / "a.bin"
    whole = file.read_bytes()
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert kept.read("a") is None
        file.write_bytes(whole[:place])
        assert kept.read("a") is None
    file.unlink()
    file.mkdir()
    assert kept.read("a") is None


def test_writers_at_once_leave_one_whole_entry(tmp_path: Path) -> None:
    kept, seen = Cache(tmp_path), []

    def work() -> None:
        for _ in range(20):
            kept.write("a", PARTS)
            seen.append(kept.read("a"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [PARTS] * 80


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = Cache(tmp_path / "file" / "folder")
    kept.write("a", PARTS)
    assert kept.read("a") is None


def test_the_oldest_entries_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_MOST_ENTRIES", 2)
    kept = Cache(tmp_path)
    for age, entry in ((3, "a"), (2, "b"), (1, "c")):
        kept.write(entry, PARTS)
        os.utime(tmp_path / f"{entry}.bin", (1e9 - age, 1e9 - age))
    kept.write("d", PARTS)
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["c", "d"]


def test_keys_differ_with_each_part() -> None:
    keys = {key("a", *parts) for parts in (("b", "c"), ("bc",), ("b", b"c", ""), ("c", "b"))}
    assert len(keys) == 4
    assert key("a", "b") == key("a", b"b")


@pytest.mark.skipif(sys.platform != "linux", reason="XDG is for Linux")
def test_the_folder_is_that_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("platformdirs")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.user_folder() == tmp_path / "srnet"


def test_an_entry_that_is_used_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_MOST_ENTRIES", 2)
    kept = Cache(tmp_path)
    for age, entry in ((2, "a"), (1, "b")):
        kept.write(entry, PARTS)
        os.utime(tmp_path / f"{entry}.bin", (1e9 - age, 1e9 - age))
    assert kept.read("a") == PARTS
    kept.write("c", PARTS)
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["a", "c"]


def test_what_can_be_read_but_not_touched_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    kept = Cache(tmp_path)
    kept.write("a", PARTS)
    monkeypatch.setattr(os, "utime", refuse)
    assert kept.read("a") == PARTS


@pytest.mark.parametrize("entry", ["../out", "/out", "deep/out", "..", "", "a\0", ".a", "../in/a"])
def test_no_entry_leads_out_of_the_folder(entry: str, tmp_path: Path) -> None:
    if entry == "/out":
        entry = str(tmp_path / "out")
    kept = Cache(tmp_path / "in")
    kept.write("a", PARTS)
    (tmp_path / "out.bin").write_bytes((tmp_path / "in" / "a.bin").read_bytes())
    before = sorted(tmp_path.rglob("*"))
    assert kept.read(entry) is None
    (tmp_path / "out.bin").write_bytes(b"mine")
    kept.write(entry, PARTS)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "out.bin").read_bytes() == b"mine"


def test_without_a_folder_nothing_is_kept() -> None:
    kept = Cache(None)
    kept.write("a", PARTS)
    assert kept.read("a") is None


def test_a_user_without_a_home_has_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    platformdirs = pytest.importorskip("platformdirs")

    def lost(*_: object, **__: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(platformdirs, "user_cache_path", lost)
    assert cache.user_folder() is None
