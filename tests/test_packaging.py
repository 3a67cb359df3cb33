"""The files that make the image agree with those that make the package."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def names(file: str) -> set[str]:
    """The packages that a file of constraints pins, all of them exactly."""
    lines = [line for line in (ROOT / file).read_text().splitlines() if line[:1] not in ("", "#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9a-z.]+", line) for line in lines)
    return {line.split("==")[0] for line in lines}


def test_all_that_the_image_installs_is_pinned() -> None:
    tomllib = pytest.importorskip("tomllib")
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, build = told["project"], told["build-system"]["requires"]
    wanted = build + project["dependencies"] + project["optional-dependencies"]["serve"]
    direct = {re.split(r"[<>=]", requirement)[0] for requirement in wanted}
    assert direct <= names("constraints.txt") | names(".ci/image-constraints.txt")
    assert not names("constraints.txt") & names(".ci/image-constraints.txt")


def test_what_the_image_copies_is_let_through() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = [line[1:] for line in lines if line.startswith("!")]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.M)
    sources = " ".join(copied).split()
    assert {"weights", "server", "srnet"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists()
        assert any(fnmatch.fnmatch(source, pattern) for pattern in let_through), source


def test_its_types_are_told_to_those_who_import_it() -> None:
    tomllib = pytest.importorskip("tomllib")
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "py.typed" in data["package-data"]["srnet"]
    assert (ROOT / "srnet" / "py.typed").is_file()
