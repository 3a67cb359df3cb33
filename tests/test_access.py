"""What may not be read or written: one line that says how to be who may."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from srnet.cli import main
from srnet.cli.access import as_owner, why_not_writable

OWNER = f"{os.geteuid()}:{os.getegid()}"


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that may not be written to, even by root."""
    monkeypatch.delenv("SRNET_CONTAINER", raising=False)
    monkeypatch.setattr(os, "access", lambda *_: False)
    return tmp_path


def test_user_and_reason_are_told(closed: Path) -> None:
    expected = f"{closed} may not be written to by user {os.geteuid()}"
    assert why_not_writable(closed) == why_not_writable(closed / "new" / "newer") == expected


def test_in_a_container_the_owner_is_told(closed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRNET_CONTAINER", "1")
    told = why_not_writable(closed / "new")
    assert told is not None
    assert told.endswith(f" (run the container with --user {OWNER}, who owns it)")


def test_no_owner_helps_where_nothing_is_ever_written(
    closed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SRNET_CONTAINER", "1")
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert why_not_writable(closed) == f"{closed} is on a file system that is mounted read-only"


def test_what_can_be_written_needs_no_reason(tmp_path: Path) -> None:
    assert why_not_writable(tmp_path / "new") is None
    (tmp_path / "file").touch()
    assert why_not_writable(tmp_path / "file" / "new") == f"{tmp_path / 'file'} is a file"


def test_owner_of_what_cannot_be_looked_at_is_that_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SRNET_CONTAINER", "1")
    stat: Callable[[Path], os.stat_result] = Path.stat

    def hidden(path: Path, **_: bool) -> os.stat_result:
        if path.name == "secret":
            raise PermissionError
        return stat(path)

    monkeypatch.setattr(Path, "stat", hidden)
    assert OWNER in as_owner(tmp_path / "secret")


def test_a_closed_folder_is_no_bug_in_srnet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SRNET_CONTAINER", raising=False)

    def closed(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_dir", closed)
    assert main(["upscale", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png")]) == 1
    said = capsys.readouterr().err
    assert re.fullmatch(r"srnet: error: \S+ may not be used by user \d+\n", said)


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("compare nr.png b.png", "FIRST"),
        ("compare b.png --reference=nr.png b.png", "--reference FILE"),
        ("eval nr.png -m photo-x2", "FOLDER"),
        ("train . -o a-x2.safetensors --manifest nr.png", "--manifest FILE"),
        ("train . -o a-x2.safetensors --start nr.png", "--start FILE"),
    ],
)
def test_what_may_not_be_read_is_no_wrong_value(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    option: str,
) -> None:
    monkeypatch.delenv("SRNET_CONTAINER", raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("nr.png", "b.png"):
        Path(name).touch()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "nr.png")
    assert main(command.split()) == 2
    assert capsys.readouterr().err == (
        f"srnet: error: nr.png may not be read by user {os.geteuid()}: change its permissions, or "
        f"give another {option}\n"
    )
