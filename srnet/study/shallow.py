"""Question 2: is bicubic plus a pixel-shuffle convolution, without residual blocks, better?

Three kinds of network at equal parameters, all on the bicubic base:

* linear: no blocks, so no activation; convolutions that end in a pixel-shuffle;
* one pair: a single wide pair of convolutions with one activation, no shortcut around it;
* residual: narrower and deeper.
"""

from __future__ import annotations

from srnet.card import NetConfig
from srnet.model import SRNet, parameter_count
from srnet.study.ledger import Row
from srnet.study.trial import Bench

QUESTION = "shallow"
KINDS = ("linear", "one pair", "residual")


def rows(bench: Bench) -> dict[str, list[Row]]:
    """Three kinds at each size, then the smallest linear one for as long as the largest takes."""
    budget = bench.budget
    full = parameter_count(SRNet(bench.net()))
    found = {}
    for size in (*budget.sizes, full):
        for kind in KINDS:
            net = bench.net() if (kind, size) == ("residual", full) else fitted(bench, kind, size)
            found[f"{kind} {size}"] = bench.train(QUESTION, f"{kind} {size}", net)
    return found


def fitted(bench: Bench, kind: str, parameters: int) -> NetConfig:
    """The widest network of a kind with at most so many parameters (one feature at least)."""
    blocks = {"linear": 0, "one pair": 1}.get(kind, max(1, bench.budget.blocks // 2))
    shortcut = "identity" if kind == "residual" else "none"
    net = bench.net(blocks=blocks, shortcut=shortcut, features=1)
    while True:
        wider = bench.net(blocks=blocks, shortcut=shortcut, features=net.features + 1)
        if parameter_count(SRNet(wider)) > parameters:
            return net
        net = wider
