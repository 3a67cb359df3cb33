"""The idea in one dimension: fit a line plus an oscillation, with and without the line given.

The same small network is trained on the same points; once it has to make all of
``y = 2 x + 0.2 sin(4 pi x)``, and once only what the line lacks.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor, nn

from srnet.study.ledger import Row
from srnet.study.trial import Bench

QUESTION = "toy"
KINDS = ("line given", "no line")
_WIDTH = 32
_SHOWN = 101  # points of the fit that are kept for the picture


def rows(bench: Bench) -> dict[str, list[Row]]:
    """A row for each kind and seed; seconds each, so five seeds."""
    steps = bench.budget.toy_steps
    return {kind: [_row(bench, kind, seed, steps) for seed in range(5)] for kind in KINDS}


def _row(bench: Bench, kind: str, seed: int, steps: int) -> Row:
    key = {"question": QUESTION, "variant": kind, "seed": seed, "steps": steps}
    return bench.ledger.row(key, partial(fit, kind == "line given", seed, steps))


def line(x: Tensor) -> Tensor:
    """The part that may be given."""
    return 2 * x


def target(x: Tensor) -> Tensor:
    """A line plus an oscillation, for ``x`` in [-1, 1]."""
    return line(x) + 0.2 * torch.sin(4 * math.pi * x)


def target_at(x: float) -> float:
    """The same for one number."""
    return float(target(torch.tensor(x)))


def fit(given: bool, seed: int, steps: int) -> Row:
    """Adam at 3e-3 on 256 points; the error is the root mean square."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Linear(1, _WIDTH), nn.Tanh(), nn.Linear(_WIDTH, _WIDTH), nn.Tanh(), nn.Linear(_WIDTH, 1)
    )
    for p in net[-1].parameters():
        nn.init.zeros_(p)  # as the last layer of the product
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    x = torch.linspace(-1, 1, 256)[:, None]
    curve = []
    for step in range(steps + 1):
        output = net(x) + line(x) if given else net(x)
        loss = (output - target(x)).square().mean()
        if step % max(1, steps // 50) == 0:
            curve.append({"step": step, "error": round(float(loss.detach().sqrt()), 5)})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    shown = torch.linspace(-1, 1, _SHOWN)[:, None]
    with torch.no_grad():
        y = net(shown) + line(shown) if given else net(shown)
    return {
        "error": curve[-1]["error"],
        "curve": curve,
        "fit": [round(float(value), 4) for value in y[:, 0]],
    }
