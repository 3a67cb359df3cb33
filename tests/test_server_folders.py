"""The data folder: who may read it, and what happens where it cannot be used."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from server.store import Store
from srnet.cli import main
from srnet.errors import SetupError
from tests.serving import served


def modes(*folders: Path) -> list[str]:
    return [oct(stat.S_IMODE(folder.stat().st_mode)) for folder in folders]


def test_folders_of_the_service_are_for_its_user_alone(tmp_path: Path) -> None:
    made = tmp_path / "above" / "data"
    with served(made):
        assert modes(made, made / "jobs", made / "spool") == ["0o700"] * 3


def test_mode_of_a_folder_that_is_there_stays(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "jobs", tmp_path / "spool"):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o750)
    with served(tmp_path):
        assert modes(tmp_path, tmp_path / "jobs", tmp_path / "spool") == ["0o750"] * 3


def start(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> str:
    """Serve with a folder that cannot be used; what is said of it."""
    monkeypatch.setenv("SRNET_DATA_DIR", str(folder))
    monkeypatch.setattr("server.main.create_app", lambda *_: pytest.fail("too late"))
    assert main(["serve", "--port", "0"]) == 2
    return capsys.readouterr().err


def test_list_of_jobs_that_is_a_folder_is_one_clear_error(tmp_path, monkeypatch, capsys) -> None:
    path = tmp_path / "jobs.sqlite3"
    path.mkdir()
    said = start(tmp_path, monkeypatch, capsys)
    assert f"srnet: error: {path} cannot be used (unable to open database file)" in said


@pytest.mark.parametrize("name", ["jobs", "spool"])
def test_file_in_place_of_a_folder_is_one_clear_error(tmp_path, monkeypatch, capsys, name) -> None:
    (tmp_path / name).write_text("x")
    said = start(tmp_path, monkeypatch, capsys)
    assert f"srnet: error: {tmp_path / name} cannot be used as a folder (File exists)" in said
    assert "SRNET_DATA_DIR" in said


def test_folder_made_without_the_program_is_made_alone(tmp_path: Path) -> None:
    Store(tmp_path / "data").close()
    assert modes(tmp_path / "data", tmp_path / "data" / "jobs") == ["0o700"] * 2


def test_folders_inside_are_left_alone(tmp_path: Path) -> None:
    for name in ("jobs", "spool"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "left").touch()
        (tmp_path / name / "link").symlink_to(tmp_path / name / "sub")
    with served(tmp_path) as server:
        assert server.client.get("/livez").is_success
        for name in ("jobs", "spool"):
            assert [path.name for path in (tmp_path / name).iterdir()] == ["sub"]


def test_what_cannot_be_removed_is_one_clear_error(tmp_path: Path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "left").touch()
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(SetupError, match=r"jobs cannot be used as a folder \(Permission denied\)"):
        Store(tmp_path)
