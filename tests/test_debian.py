"""Rebuilding crops from packages: an archive made here, and what is said when hashes differ."""

from __future__ import annotations

import csv
import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from srnet import weights
from srnet.cli import main
from srnet.debian import archive_of, cut, encoded, known_facts, members, packages, read_manifest
from srnet.errors import DataError

ORIGIN = "usr/share/backgrounds/hill.png"
MANIFEST = Path(__file__).parent.parent / "weights" / "manifest.csv"


def picture(seed: int = 0) -> bytes:
    small = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(small).resize((300, 200), PIL.Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


def package(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(packed(content))


def packed(content: bytes) -> bytes:
    """A Debian package: an ar archive of three members, the last one with the files."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:xz") as archive:
        member = tarfile.TarInfo(f"./{ORIGIN}")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    data = b"!<arch>\n"
    for name, part in (
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", b"odd"),
        ("data.tar.xz", tar.getvalue()),
    ):
        data += f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(part):<10}`\n".encode()
        data += part + b"\n" * (len(part) % 2)
    return data


def row(**changes: str) -> dict[str, str]:
    return {
        "file": "train/hill_0.avif",
        "width": "40",
        "height": "30",
        "x": "8",
        "y": "12",
        "source": "Debian hills",
        "origin": ORIGIN,
        "note": "300x200 original, /2; r=1.1; soft->extra /2",
        "sha256": "",
        **changes,
    }


def listed(*rows: dict[str, str]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def write(path: Path, *rows: dict[str, str]) -> Path:
    path.write_text(listed(*rows), newline="")
    return path


def test_a_crop_is_reduced_twice_and_cut() -> None:
    crop = cut(picture(), row())
    with PIL.Image.open(io.BytesIO(picture())) as whole:
        half = whole.resize((150, 100), PIL.Image.Resampling.BICUBIC)
    quarter = half.resize((75, 50), PIL.Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(crop, np.asarray(quarter)[12:42, 8:48])
    with pytest.raises(DataError, match="300 x 200"):
        cut(picture(), row(note="301x200 original, /2"))
    with pytest.raises(DataError, match="has no 40 x 30 pixels at 36, 12"):
        cut(picture(), row(x="36"))


def test_identical_then_another_encoder_then_another_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archives, out = tmp_path / "packages", tmp_path / "set"
    package(archives / "hills_1%3a2-3_all.deb", picture())
    sha256 = hashlib.sha256(encoded(cut(picture(), row()))).hexdigest()
    manifest = write(tmp_path / "manifest.csv", row(sha256=sha256), row(source="a/b (c)", file="x"))
    record = tmp_path / "debian.csv"
    command = ["data", str(out), "--packages", str(archives), "--manifest", str(manifest)]
    assert main([*command, "--record", str(record)]) == 0
    told = capsys.readouterr().out
    assert "1 identical" in told
    assert "1  https://github.com/a/b\n" in told
    assert hashlib.sha256((out / "train/hill_0.avif").read_bytes()).hexdigest() == sha256
    assert known_facts(record)["train/hill_0.avif"].package == "hills_1:2-3"

    write(manifest, row(sha256="0" * 64))
    assert main(command) == 0
    assert "same pixels (another AVIF encoder)" in capsys.readouterr().err

    package(archives / "hills_1%3a2-3_all.deb", picture(1))
    assert main(command) == 1
    assert "hills_1:2-3 had another file" in capsys.readouterr().err

    (archives / "hills_1%3a2-3_all.deb").unlink()
    assert main(command) == 1
    assert "missing (no such package)" in capsys.readouterr().err


def test_what_must_not_be_there_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archives, forbidden = tmp_path / "packages", tmp_path / "forbidden"
    package(archives / "hills_1_all.deb", picture())
    manifest = write(
        tmp_path / "manifest.csv", row(note="300x200 original, /1", width="250", height="180")
    )
    forbidden.mkdir()
    (forbidden / "other.png").write_bytes(picture(2))
    command = ["data", str(tmp_path / "set"), "--packages", str(archives)]
    command += ["--manifest", str(manifest), "--against", str(forbidden)]
    assert main(command) == 1  # the hash of the manifest is empty
    assert "none of them shows any of 1 pictures" in capsys.readouterr().out
    (forbidden / "same.png").write_bytes(picture())
    assert main(command) == 1
    assert "same.png" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"!<arch>\n", b"no archive at all"])
def test_what_is_no_package_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.deb").write_bytes(content)
    with pytest.raises(DataError, match="Debian package"):
        members(tmp_path / "a.deb", {ORIGIN})


def damaged(part: str) -> bytes:
    """A package cut off, or with other bytes, or with a picture cut off."""
    whole = packed(picture()[:800] if part == "picture" else picture())
    middle = len(whole) // 2
    noise = packed(np.random.default_rng(0).bytes(300_000))  # stored: only the checksum tells
    return {
        "cut": whole[:middle],
        "checksum": noise[:9999] + bytes([noise[9999] ^ 1]) + noise[10000:],
        "bytes": whole[:middle] + b"\0" * 9 + whole[middle + 9 :],
        "picture": whole,
        "empty": b"!<arch>\n",
    }[part]


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("cut", "hills_1_all.deb cannot be read as a Debian package (Compressed file ended"),
        ("bytes", "hills_1_all.deb cannot be read as a Debian package (Corrupt input data)"),
        ("checksum", "hills_1_all.deb cannot be read as a Debian package (Corrupt input data)"),
        ("empty", "hills_1_all.deb cannot be read as a Debian package (it has no files)"),
        ("picture", f"hills_1_all.deb: {ORIGIN} cannot be decoded"),
    ],
)
def test_a_damaged_package_is_named_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], part: str, reason: str
) -> None:
    package(tmp_path / "debs" / "zoo_1_all.deb", picture())
    (tmp_path / "debs" / "hills_1_all.deb").write_bytes(damaged(part))
    manifest = write(tmp_path / "m.csv", row(), row(source="Debian zoo", file="zoo.avif"))
    command = ["data", str(tmp_path / "set"), "--manifest", str(manifest)]
    assert main([*command, "--packages", str(tmp_path / "debs")]) == 1
    said = capsys.readouterr().err
    assert "train/hill_0.avif: missing (" in said
    assert reason in said
    assert "and fetch it again)" in said
    assert [path.name for path in (tmp_path / "set").rglob("*.avif")] == ["zoo.avif"]


@pytest.mark.skipif(not weights.shipped(), reason="no weights in this checkout")
def test_every_picture_of_debian_is_recorded() -> None:
    rows = read_manifest(MANIFEST)
    own = {r["file"]: r["source"].removeprefix("Debian ") for r in rows if "Debian" in r["source"]}
    facts = known_facts(MANIFEST.with_name("debian.csv"))
    assert {name: fact.package.split("_")[0] for name, fact in facts.items()} == own
    assert all(len(f.source_sha256) == len(f.crop_sha256) == 64 for f in facts.values())
    assert len(packages(rows)) == 7


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "lists no pictures"),
        ("file,source\n", "lists no pictures"),
        ("file,licence\na.png,CC0\n", "row 1 has no width, .*source, .*: give a CSV file with"),
        (",".join(row()) + "\na.png,1\n", "row 1 has no height, x, y, source"),
        ("\xff", "cannot read"),
        (listed(row(), row(x="eight")), "row 2: x is 'eight': give a whole number"),
        (listed(row(y="-1")), "row 1: y is '-1': .* at least 0"),
        (listed(row(width="0")), "row 1: width is '0': .* at least 1"),
        (listed(row(height="1.5")), "row 1: height is '1.5'"),
        (listed(row(note="300x200")), "row 1: note is '300x200': begin it with the size"),
        (listed(row(note="300x200 original, /0")), "row 1: note is .* as in '3000x2000"),
        (listed(row(), row(file="../x.avif")), "row 2: file is '../x.avif': give a path in"),
        (listed(row(file="a/../../x.avif")), "row 1: file is 'a/../../x.avif'"),
        (listed(row(file="/tmp/x.avif", source="a/b")), "row 1: file is '/tmp/x.avif'"),
        (listed(row(file="")), "row 1: file is ''"),
    ],
)
def test_a_wrong_manifest_is_refused(
    text: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=reason):
        read_manifest(manifest)
    assert main(["data", str(tmp_path / "set"), "--manifest", str(manifest)]) == 2
    assert "bug" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "versions",  # rising
    [
        ("9", "10"),
        ("1.0~rc1", "1.0", "1.0.1"),
        ("1.0-9", "1.0-10"),
        ("1.0-1~bpo1", "1.0-1", "1.0-1+b1"),
        ("1.2-3", "1.2+b-1"),
        ("2.0", "1%3a0.1"),
        ("1.0a", "1.0+"),
    ],
)
def test_the_newest_package_is_taken(tmp_path: Path, versions: tuple[str, ...]) -> None:
    for version in versions:
        (tmp_path / f"foo_{version}_all.deb").touch()
    (tmp_path / "foo-data_99_all.deb").touch()
    assert archive_of("foo", tmp_path, download=False) == tmp_path / f"foo_{versions[-1]}_all.deb"
    assert archive_of("none", tmp_path, download=False) is None


@pytest.mark.parametrize("there", [False, True])
def test_where_nothing_was_written_nothing_is_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], there: bool
) -> None:
    out, forbidden = tmp_path / "out", tmp_path / "forbidden"
    forbidden.mkdir()
    (forbidden / "other.png").write_bytes(picture())
    if there:
        out.mkdir()
    manifest = write(tmp_path / "manifest.csv", row())
    command = ["data", str(out), "--packages", str(tmp_path), "--manifest", str(manifest)]
    assert main([*command, "--against", str(forbidden)]) == 1
    said = capsys.readouterr()
    assert said.out == "1 pictures of Debian packages: 1 missing\n"
    assert f"there are no pictures in {out} to compare" in said.err


def test_a_record_replaces_nothing_but_a_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest, out = write(tmp_path / "manifest.csv", row()), tmp_path / "out"
    command = ["data", str(out), "--packages", str(tmp_path), "--manifest", str(manifest)]
    (tmp_path / "sdr.png").write_bytes(picture())
    for name in ("sdr.png", "manifest.csv"):
        before = (tmp_path / name).read_bytes()
        assert main([*command, "--record", str(tmp_path / name)]) == 2
        assert f"{name} is there and was not written by --record" in capsys.readouterr().err
        assert (tmp_path / name).read_bytes() == before
    record = tmp_path / "debian.csv"
    record.touch()
    for _ in range(2):
        assert main([*command, "--record", str(record)]) == 1
        assert known_facts(record)["train/hill_0.avif"].package == "hills"


def test_records_of_other_columns_are_refused(tmp_path: Path) -> None:
    assert known_facts(tmp_path / "debian.csv") == {}
    (tmp_path / "debian.csv").write_text("file,package\na.png,hills_1\n")
    with pytest.raises(DataError, match="row 1 has no source_sha256, crop_sha256"):
        known_facts(tmp_path / "debian.csv")
