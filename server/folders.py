"""Folders of the service: for its user alone, and a clear error where one cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from srnet.errors import SetupError

ALONE = 0o700  # pictures are nobody else's business; the mode of what is there is its owner's
SPOOL = "spool"


def make(folder: Path) -> None:
    """Make a folder if it is not there.

    Raises:
        SetupError: it cannot be, or something else has its name.
    """
    try:
        folder.parent.mkdir(ALONE, parents=True, exist_ok=True)
        folder.mkdir(ALONE, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from error


def clear(folder: Path, wanted: Callable[[Path], bool] = lambda _: False) -> None:
    """Remove the files that are not wanted; a folder in it is none that the service made.

    Raises:
        SetupError: they cannot be.
    """
    try:
        for path in folder.iterdir():
            if not wanted(path) and (path.is_symlink() or not path.is_dir()):
                path.unlink()
    except OSError as error:
        raise _unusable(folder, error) from error


def clear_spool(data_dir: Path) -> None:
    """Make the folder of what comes and goes, and remove what a killed process left in it.

    Raises:
        SetupError: it cannot be used.
    """
    make(data_dir / SPOOL)
    clear(data_dir / SPOOL)


def _unusable(folder: Path, error: OSError) -> SetupError:
    return SetupError(
        f"{folder} cannot be used as a folder ({error.strerror}): "
        "move it away, or set SRNET_DATA_DIR to another folder"
    )
