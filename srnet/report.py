"""What became of each picture of a run, and its JSON form."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, get_args

import srnet

SCHEMA = 1  # raised when a field of the JSON changes its meaning or goes
STAGES = ("decode", "load", "network", "encode")  # load: of the model, when it is first used

# skipped: the result was there (its residual may have been made); refused: what is there already
# is in the way; pending: a run was interrupted before it
Status = Literal["planned", "done", "skipped", "refused", "failed", "pending"]
Size = tuple[int, int]  # width, height in pixels


@dataclass(frozen=True)
class Row:
    """One picture. What is not known is None: a failed picture may have no output size."""

    input: str  # "-" is standard input
    output: str  # "-" is standard output
    status: Status
    input_size: Size | None = None
    output_size: Size | None = None
    frames: int | None = None
    models: tuple[str, ...] = ()  # that ran, in their order; none at strength 0
    seconds: Mapping[str, float] = field(default_factory=dict)  # by stage
    megapixels_per_second: float | None = None  # output pixels by seconds in the network
    consistency_db: float | None = None  # see srnet.metrics.consistency; first frame
    residual: str | None = None  # where its picture was written, or would be
    rounded_to_8_bit: bool = False  # as the input has more, and the output has 8
    pages_left_out: int = 0  # of a TIFF: all but the first
    error: str | None = None

    @property
    def megapixels(self) -> float:
        """Of the output, all frames together."""
        width, height = self.output_size or (0, 0)
        return width * height * (self.frames or 0) / 1e6

    @property
    def shrunk(self) -> bool:
        """Whether a side of the result is smaller than that of the input."""
        sizes = zip(self.output_size or (), self.input_size or (), strict=False)
        return any(made < given for made, given in sizes)


@dataclass(frozen=True)
class Report:
    """One run over many pictures."""

    rows: Sequence[Row]
    seconds: float = 0.0  # from the first picture to the last
    interrupted: bool = False
    dry_run: bool = False  # nothing was made, only planned
    ignored: Sequence[str] = ()  # files in the folders that are no pictures, links to folders
    settings: Mapping[str, Any] = field(default_factory=dict)

    def count(self, status: Status) -> int:
        """How many pictures have this status."""
        return sum(row.status == status for row in self.rows)

    def counts(self) -> dict[Status, int]:
        """How many pictures have each status."""
        statuses: tuple[Status, ...] = get_args(Status)
        return {status: self.count(status) for status in statuses}

    @property
    def planned(self) -> int:
        """Pictures with work to do when the run began; a dry run finds the same number.

        Not those that were skipped or refused, nor those of which the header is unusable.
        """
        return sum(row.status == "pending" or row.output_size is not None for row in self.rows)

    @property
    def megapixels(self) -> float:
        """Written, all pictures together."""
        return sum(row.megapixels for row in self.rows if row.status == "done")

    @property
    def network_busy(self) -> float:
        """The fraction of ``seconds`` in which the network was at work, 0 to 1."""
        return self._stage("network") / self.seconds if self.seconds else 0.0

    def to_json(self) -> str:
        """The report in ASCII; names of files that are not text have lone surrogates in it."""
        return json.dumps(
            {
                "schema": SCHEMA,
                "versions": versions(),
                "settings": self.settings,
                "dry_run": self.dry_run,
                "interrupted": self.interrupted,
                "totals": {
                    **self.counts(),
                    "planned": self.planned,
                    "ignored": len(self.ignored),
                    "output_megapixels": round(self.megapixels, 3),
                    "megapixels_per_second": _rate(self.megapixels, self.seconds),
                    "network_busy": round(self.network_busy, 3),
                    "seconds": {
                        "total": round(self.seconds, 3),
                        **{stage: round(self._stage(stage), 3) for stage in STAGES},
                    },
                },
                "files": [asdict(row) for row in self.rows],
                "ignored": list(self.ignored),
            },
            indent=1,
        )

    def _stage(self, stage: str) -> float:
        return sum(row.seconds.get(stage, 0.0) for row in self.rows)


def _rate(megapixels: float, seconds: float) -> float | None:
    return round(megapixels / seconds, 3) if seconds else None


def versions() -> dict[str, str]:
    """Versions of srnet, Python and what the results depend on; nothing is imported for it."""
    return {
        "srnet": srnet.__version__,
        "python": platform.python_version(),
        "torch": _version("torch"),
        "openvino": _version("openvino"),
        "numpy": _version("numpy"),
        "pillow": _version("pillow"),
        "opencv": _version("opencv-python-headless"),
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
