"""docs/data.md agrees with the manifest: counts, megapixels, licences, who is to be named."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parent.parent
ROWS = list(csv.DictReader((ROOT / "weights" / "manifest.csv").read_text("utf-8").splitlines()))
PAGE = (ROOT / "docs" / "data.md").read_text("utf-8") if (ROOT / "docs/data.md").exists() else ""


def source_table(rows: list[dict[str, str]]) -> str:
    """Every source and licence with photographs, pictures and megapixels, training only."""
    groups: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        if row["split"] == "train":
            groups[row["source"], row["licence"]].append(row)
    lines = [
        "| source | licence as declared there | photographs | pictures | megapixels |",
        "| --- | --- | --- | --- | --- |",
    ]
    for (source, licence), own in sorted(groups.items()):
        name = source.removeprefix("Debian ")
        link = f"https://github.com/{source.split(' ')[0]}"
        if name != source:
            link = f"https://packages.debian.org/{name}"
        lines.append(f"| [{source}]({link}) | {licence} | {figures(own)} |")
    return "\n".join([*lines, f"| all | | {figures([r for g in groups.values() for r in g])} |"])


def figures(rows: list[dict[str, str]]) -> str:
    photographs = len({(row["source"], row["origin"]) for row in rows})
    megapixels = sum(int(row["width"]) * int(row["height"]) for row in rows) / 1e6
    return f"{photographs} | {len(rows)} | {megapixels:.1f}"


def wikimedia_list(rows: list[dict[str, str]]) -> str:
    pages = {PurePosixPath(r["origin"]).stem: r["url"] for r in rows if "stunning" in r["source"]}
    return "\n".join(f"* {name}" + (f": <{url}>" if url else "") for name, url in pages.items())


def test_the_table_of_sources_is_that_of_the_manifest() -> None:
    assert source_table(ROWS) in PAGE
    held_out = [row for row in ROWS if row["split"] == "val"]
    assert len(held_out) == 32
    assert "32 pictures of 32 other photographs" in " ".join(PAGE.split())


def test_the_pages_of_wikimedia_are_listed() -> None:
    assert wikimedia_list(ROWS) in PAGE


def named() -> list[str]:
    """Photographs whose licence asks for a name, where the source gives one for each."""
    return sorted(
        {
            row["origin"]
            for row in ROWS
            if row["source"].startswith(("Debian", "getsolus", "ubuntu-mate"))
            and not row["licence"].lower().startswith(("cc0", "public"))
        }
    )


@pytest.mark.parametrize("origin", named())
def test_every_photograph_that_asks_for_it_is_named(origin: str) -> None:
    path = PurePosixPath(origin)
    name = path.parts[3] if "contents" in path.parts else path.name  # plasma: the theme
    assert f"`{name}`" in PAGE
