"""``srnet compare``: two pictures, or one against a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from srnet.cli.access import check_writable
from srnet.cli.console import print_json, say, tell
from srnet.cli.options import argument, flag, option
from srnet.errors import OptionError
from srnet.files import check_free

if TYPE_CHECKING:
    from srnet.compare import Score
    from srnet.image import Image


def compare(
    first: Annotated[Path, argument("FIRST", "A picture.")],
    second: Annotated[
        Path, argument("SECOND", "Another; if one of the two is smaller, bicubic enlarges it.")
    ],
    reference: Annotated[
        Path | None, option("FILE", "The true picture, to score both against.")
    ] = None,
    beside: Annotated[
        list[Path] | None,
        option("FILE", "One more picture to show beside them; may be given again."),
    ] = None,
    output: Annotated[
        Path | None, option("FILE", "Side-by-side picture to write.", "-o", "--output")
    ] = None,
    crops: Annotated[
        int, option("INTEGER", "Details to show, where the two differ most; 0 or more.")
    ] = 3,
    overwrite: Annotated[bool, flag("--overwrite", "Replace an existing --output.")] = False,
    as_json: Annotated[bool, flag("--json", "Figures as JSON on standard output.")] = False,
) -> None:
    """Score two pictures (PSNR, SSIM) and show them side by side.

    The scores are on luma (Y): of FIRST against SECOND, or of both against --reference.
    """
    from srnet.compare import side_by_side
    from srnet.image import encode, format_for, write_atomic
    from srnet.naming import check_present

    check_present([first, second, *(beside or ()), *filter(None, [reference])])
    _check(output, crops, overwrite)
    paths = [first, second, *(beside or ()), *filter(None, [reference])]
    pictures = _in_one_space(paths, [_read(path) for path in paths])
    truth = None if reference is None else pictures.pop()
    (a, b, *more), resized = _in_one_size(paths, pictures)
    figures = _scores(a, b, truth)
    panels = [a, b, *filter(None, [truth]), *more]
    if output is not None:
        picture = encode([side_by_side(panels, crops)], format_for(output))
        write_atomic(output, picture, parents=True)
    if as_json:
        found = {name: asdict(s) for name, s in figures.items()}
        print_json({**found, "resized": resized})
        return
    for name, s in figures.items():
        tell(f"{name}: PSNR {s.psnr:.2f} dB, SSIM {s.ssim:.4f}, largest {s.largest} levels")
    if output is not None:
        tell(f"wrote {output}")


def _check(output: Path | None, crops: int, overwrite: bool) -> None:
    """Refuse before any work what could not be written after it."""
    from srnet.image import format_for

    if crops < 0:
        raise OptionError(f"--crops must be at least 0, not {crops}")
    if output is None:
        return
    format_for(output)
    check_free(output, "choose another --output, or pass --overwrite", overwrite=overwrite)
    check_writable(output.parent, "--output")


def _in_one_space(paths: Sequence[Path], pictures: list[Image]) -> list[Image]:
    """The pictures in one space; it says which of them had to be converted."""
    from srnet.compare import in_one_space

    found = in_one_space(pictures)
    for path, before, after in zip(paths, pictures, found, strict=True):
        if before.rgb is not after.rgb:
            say(f"srnet: {path}: compared in sRGB, as their colour profiles differ")
    return found


def _in_one_size(paths: Sequence[Path], pictures: list[Image]) -> tuple[list[Image], list[str]]:
    """The pictures in the size of the larger of the first two, and which ones were resized."""
    from srnet.compare import same_size

    larger = max(pictures[:2], key=lambda picture: picture.height * picture.width)
    resized = []
    for i, (path, picture) in enumerate(zip(paths, pictures, strict=False)):
        pictures[i] = same_size(picture, larger.height, larger.width)
        if pictures[i] is not picture:
            resized.append(str(path))
            say(
                f"srnet: {path} was resized from {picture.width} x {picture.height} to "
                f"{larger.width} x {larger.height} pixels by bicubic, to compare it"
            )
    return pictures, resized


def _scores(a: Image, b: Image, truth: Image | None) -> dict[str, Score]:
    from srnet.compare import score

    if truth is None:
        return {"first against second": score(a, b)}
    if (truth.height, truth.width) != (a.height, a.width):
        raise OptionError(
            f"--reference has {truth.width} x {truth.height} pixels, but the pictures have "
            f"{a.width} x {a.height}: give one of their size"
        )
    return {
        "first against reference": score(a, truth),
        "second against reference": score(b, truth),
    }


def _read(path: Path) -> Image:
    """The first frame or page; whatever ``srnet upscale`` writes by itself is not too large."""
    from srnet.image import decode, read_file, read_header
    from srnet.options import Options

    data = read_file(path)
    picture = decode(data, str(path), Options.max_pixels)[0]
    header = read_header(data, str(path))
    for count, what in ((header.frames, "frames"), (header.pages_left_out + 1, "pages")):
        if count > 1:
            say(f"srnet: {path}: compared by the first of its {count} {what} alone")
    if not picture.opaque:
        say(f"srnet: {path}: transparent parts count as white")
    return picture
