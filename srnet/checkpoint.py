"""Checkpoints of a training run as files."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from srnet.errors import WeightsError
from srnet.files import write_atomic

_DAMAGED = (  # what reading a file that was cut off or overwritten raises
    *(RuntimeError, EOFError, pickle.UnpicklingError),
    *(LookupError, ValueError, TypeError, AttributeError),
)


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
        WeightsError: it cannot be read, or is damaged.
    """
    try:
        state: dict[str, Any] = torch.load(checkpoint, map_location=device, weights_only=True)
    except torch.OutOfMemoryError:
        raise
    except OSError as error:
        raise WeightsError(f"{checkpoint} cannot be read: {error.strerror or error}") from error
    except _DAMAGED as error:
        raise WeightsError(
            f"{checkpoint} is damaged ({error or type(error).__name__}): choose another --output, "
            f"with --start {checkpoint.with_suffix('.safetensors')} to begin from the weights "
            "saved last"
        ) from error
    return state
