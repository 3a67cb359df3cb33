"""What the card says of weights in training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from srnet import weights
from srnet.card import Data
from srnet.errors import OptionError
from srnet.train import Run, train
from tests.train.support import CONFIG, patches


def test_the_card_has_figures_of_its_own_weights_alone(
    pictures: list[np.ndarray], tmp_path: Path
) -> None:
    """Stopped between two validations, the weights are others than those that were measured."""
    config = replace(CONFIG, validate_every=6)
    output = tmp_path / "tiny-x2.safetensors"
    figures = iter([{"psnr": 30.0}, {"psnr": 31.0}])
    rows: list[dict] = []

    def go_on(stop: int) -> Run:
        run = Run(config)
        if output.exists():
            run.restore(output.with_suffix(".ckpt"))
        train(
            run,
            patches(pictures, config),
            output,
            data=Data(),
            validate=lambda _: next(figures),
            report=rows.append,
            stopping=lambda: run.iteration == stop,
        )
        return run

    go_on(6)
    assert weights.read_card(output).metrics == {"psnr": 30.0}
    run = go_on(8)
    assert weights.read_card(output).metrics == {}
    assert (run.metrics, run.validated) == ({"psnr": 30.0}, 6)  # the run remembers
    run = go_on(12)
    assert weights.read_card(output).metrics == {"psnr": 31.0}
    assert [row["iteration"] for row in rows if "psnr" in row] == [6, 12]


@pytest.mark.parametrize("name", ["../tiny-x2", "my photo-x2", "tiny", "tiny-x4", ".a-x2"])
def test_a_name_that_could_not_be_read_again_is_refused_before_the_training(name: str) -> None:
    with pytest.raises(OptionError, match="cannot be called"):
        replace(CONFIG, name=name)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_trains_nothing_is_refused(rate: float) -> None:
    with pytest.raises(OptionError, match="lr must be a number above 0"):
        replace(CONFIG, lr=rate)
