"""What a card says of the code it was made by."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from srnet import device

CPU = torch.device("cpu")
GIT = shutil.which("git")


def commit_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(device, "__file__", str(folder / "device.py"))
    return device.provenance(CPU)[0]


@pytest.mark.skipif(GIT is None, reason="no git here")
def test_only_a_checkout_of_srnet_has_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, elsewhere = tmp_path / "srnet", tmp_path / "venv" / "lib" / "srnet"
    for folder in (package, elsewhere):
        folder.mkdir(parents=True)
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.com"]
    for words in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([str(GIT), *words], cwd=tmp_path, check=True)
    assert len(commit_of(package, monkeypatch)) == 12
    assert commit_of(elsewhere, monkeypatch) == ""


def test_without_git_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    commit, hardware = device.provenance(CPU)
    assert commit == ""
    assert "processor" in hardware
