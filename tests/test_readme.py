"""The README cannot rot: its Python runs, its commands and options exist, its files are there."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer

from srnet import weights
from srnet.cli import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.S | re.M)


def commands() -> list[str]:
    lines = [
        line.strip()
        for page in PAGES
        for block in blocks(page, "sh")
        for line in block.replace("\\\n", " ").splitlines()
    ]
    found = [re.search(r"(?:^|\| |-m |\$ )(srnet .*)", line) for line in lines]
    return sorted({match.group(1).split(" | ")[0] for match in found if match})


@pytest.mark.skipif(not weights.shipped(), reason="no weights in this checkout")
def test_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "sample.jpg", tmp_path / "docs")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    found = blocks(ROOT / "README.md", "python")
    assert len(found) >= 2
    for block in found:
        exec(block, names)
    assert (tmp_path / "large.png").stat().st_size > 0
    assert names["larger"].shape == (80, 120, 3)


@pytest.mark.parametrize("command", commands())
def test_commands_and_options_exist(command: str) -> None:
    words = shlex.split(command, comments=True)
    known = typer.main.get_command(app).commands
    if len(words) == 1 or words[1].startswith("-"):
        return
    found = known[words[1]]
    if hasattr(found, "commands"):  # srnet study residual
        found = found.commands[words[2]]
    options = {name for p in found.params for name in (*p.opts, *p.secondary_opts)}
    for word in words[2:]:
        if re.match(r"--?[a-z]", word):
            assert word.split("=")[0] in options | {"--help", "-h"}, word


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", page.read_text("utf-8")):
        if "://" not in target:
            found = page.parent / target if target else page
            assert found.exists(), target
            assert not anchor or anchor in anchors(found), f"{target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub names them."""
    headings = re.findall(r"^#+ (.*)", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
