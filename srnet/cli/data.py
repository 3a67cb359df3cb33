"""``srnet data``: rebuild the training pictures that Debian packages provide."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srnet.cli.access import check_writable
from srnet.cli.console import FAILED, say, tell
from srnet.cli.options import argument, flag, option
from srnet.cli.publish import check_earlier
from srnet.files import check_free

if TYPE_CHECKING:
    from srnet.debian import Result


def data(
    output: Annotated[Path, argument("FOLDER", "Where to write the pictures.")],
    packages: Annotated[Path, option("FOLDER", "Where the .deb files are, or are to go.")] = Path(
        "packages"
    ),
    download: Annotated[
        bool, flag("--download", "Fetch missing packages with apt-get download.")
    ] = False,
    manifest: Annotated[
        Path | None, option("FILE", "CSV of the pictures; default: the one of the weights.")
    ] = None,
    against: Annotated[
        list[Path] | None,
        option("FOLDER", "Pictures that must not be among them, such as a benchmark."),
    ] = None,
    record: Annotated[
        Path | None, option("FILE", "Write what was found into this CSV (debian.csv).")
    ] = None,
) -> None:
    """Rebuild what Debian packages provide of the training set, and check every hash.

    Says what is as it was, what differs and why, and where the rest of the set comes from.
    """
    from srnet.debian import known_facts, read_manifest, rebuild, write_facts
    from srnet.weights import folder

    _check(output, record)
    forbidden = _pictures(against or [])
    listed = folder() / "manifest.csv" if manifest is None else manifest
    rows = read_manifest(listed)
    known = known_facts(listed.with_name("debian.csv"))
    results = []
    for result in rebuild(rows, output, partial(_archive, packages, download), known):
        results.append(result)
        if result.outcome != "identical":
            say(f"{result.facts.file}: {result.outcome} ({result.reason})")
    if record is not None:
        write_facts(record, results)
    _summarize(results, rows)
    if forbidden:
        _refuse_alike(output, forbidden)
    if any(result.outcome in ("differs", "missing") for result in results):
        raise typer.Exit(FAILED)


def _check(output: Path, record: Path | None) -> None:
    """Refuse before any work what could not be written after it."""
    from srnet.debian import RECORDED

    check_writable(output, "folder")
    if record is not None:
        check_free(record, "", overwrite=True)
        check_earlier(record, ",".join(RECORDED).encode(), "--record")
        check_writable(record.parent, "--record")


def _pictures(folders: list[Path]) -> list[Path]:
    from srnet.data import find_pictures

    return [file for folder in folders for file in find_pictures(folder)]


def _archive(folder: Path, download: bool, package: str) -> Path | None:
    from srnet.debian import archive_of

    say(package)
    return archive_of(package, folder, download)


def _summarize(results: list[Result], rows: list[dict[str, str]]) -> None:
    from srnet.debian import PREFIX

    counts = Counter(result.outcome for result in results)
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    tell(f"{len(results)} pictures of Debian packages: {told or 'none in the manifest'}")
    rest = Counter(row["source"] for row in rows if not row["source"].startswith(PREFIX))
    if rest:
        tell(f"{rest.total()} pictures are not in Debian; their repositories:")
    for source, count in sorted(rest.items()):
        tell(f"{count:5d}  https://github.com/{source.split(' ')[0]}")


def _refuse_alike(output: Path, pictures: list[Path]) -> None:
    """Compare what was written with pictures that must not be among it."""
    from srnet.data import pictures_under, read_rgb8
    from srnet.likeness import alike, fingerprint

    written = pictures_under(output) if output.is_dir() else []
    if not written:
        say(f"srnet: there are no pictures in {output} to compare with those of --against")
        return
    forbidden = [(str(file), read_rgb8(file)) for file in pictures]
    mine = (fingerprint(str(file), read_rgb8(file)) for file in written)
    found = list(alike(forbidden, mine))
    for pair in found:
        say(f"{pair.b} shows {pair.a}: {pair.bits} bits differ, {pair.matches} features agree")
    if found:
        say(f"srnet: {len(found)} pictures show what they must not: take them out")
        raise typer.Exit(FAILED)
    tell(f"none of them shows any of {len(forbidden)} pictures")
