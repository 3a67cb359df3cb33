"""Where a training run writes its figures: JSON lines, TensorBoard, a progress bar."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

Row = dict[str, Any]


class TrainLog(AbstractContextManager["TrainLog"]):
    """Each row goes to ``log.jsonl``, to TensorBoard if it is installed, and to the bar.

    A resumed run appends. ``quiet`` is for all processes but the first.
    """

    def __init__(self, folder: Path, iterations: int, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True, quiet=quiet)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
        )
        self._task = self._bar.add_task("training", total=iterations)
        if not quiet:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / "log.jsonl").open("a", encoding="utf-8")
            self._board = _tensorboard(folder)

    def __enter__(self) -> TrainLog:
        self._bar.start()
        return self

    def write(self, row: Row) -> None:
        """Record figures of one moment; ``iteration`` is among them."""
        if self._quiet:
            return
        print(json.dumps(row), file=self._file, flush=True)
        if self._board is not None:
            for name, value in row.items():
                if name != "iteration":
                    self._board.add_scalar(name, value, row["iteration"])
        text = "  ".join(f"{k} {v:.5g}" for k, v in row.items() if k != "iteration")
        self._bar.update(self._task, completed=row["iteration"], description=text)
        if not self._console.is_terminal:
            self._console.print(f"{row['iteration']:>7}  {text}", highlight=False, soft_wrap=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
        if not self._quiet:
            self._file.close()
            if self._board is not None:
                self._board.close()


def _tensorboard(folder: Path) -> Any:
    """A TensorBoard writer, or None where the extra ``srnet[train]`` is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
