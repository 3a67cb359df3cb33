"""Checkpoints of a training run as files, and whether one is of the run that is to go on."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from srnet.card import FORMAT, NetConfig, differences
from srnet.errors import WeightsError
from srnet.files import write_atomic
from srnet.recipe import HABITS, TrainConfig

_DAMAGED = (  # what reading a file that was cut off or overwritten raises
    *(RuntimeError, EOFError, pickle.UnpicklingError),
    *(LookupError, ValueError, TypeError, AttributeError),
)
_OURS = {"config", "net", "average", "optimizers", "iteration"}  # other programs write .ckpt too


def write(checkpoint: Path, state: dict[str, Any]) -> None:
    """Write it whole, or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    file = io.BytesIO()
    torch.save(state, file)
    write_atomic(checkpoint, file.getbuffer())


def read(checkpoint: Path, device: torch.device) -> dict[str, Any]:
    """What was written, its tensors on ``device``.

    Raises:
        WeightsError: it cannot be read, is damaged, or of another program or another srnet.
    """
    try:
        state: Any = torch.load(checkpoint, map_location=device, weights_only=True)
    except torch.OutOfMemoryError:
        raise
    except OSError as error:
        raise WeightsError(f"{checkpoint} cannot be read: {error.strerror or error}") from error
    except _DAMAGED as error:
        raise WeightsError(
            f"{checkpoint} is damaged, or no checkpoint of `srnet train`: {_cure(checkpoint)}"
        ) from error
    if not isinstance(state, dict) or not state.keys() >= _OURS:
        raise WeightsError(f"{checkpoint} is no checkpoint of `srnet train`: {_cure(checkpoint)}")
    if state.get("format", 1) != FORMAT:
        raise WeightsError(f"{checkpoint} is of an older srnet: delete it to begin anew")
    return state


def check_settings(file: Path, state: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Compare what was read from a file with the state of the run that is to go on from it.

    Raises:
        WeightsError: settings differ on which the result depends, or the number of processes.
    """
    new = json.loads(now["config"])
    old = _filled(TrainConfig, json.loads(state["config"]))
    old["net"] = _filled(NetConfig, old["net"])
    old |= {name: new[name] for name in HABITS}
    new["processes"] = now["processes"]  # each has a batch of its own
    old["processes"] = state.get("processes", now["processes"])
    if old != new:
        raise WeightsError(
            f"{file} is of a run with other settings ({differences(old, new)}): give the old ones "
            f"to go on, or {_cure(file)}"
        )


def _filled(kind: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings that came after they were written had their defaults."""
    return {field.name: field.default for field in fields(kind)} | settings


def _cure(checkpoint: Path) -> str:
    weights = checkpoint.with_suffix(".safetensors")
    begin = f", with --start {weights} to begin from the weights saved last"
    return "choose another --output" + (begin if weights.exists() else "")
