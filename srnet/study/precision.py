"""Question 6: why is low precision nearly free? bfloat16 and int8, with and without a base.

bfloat16 is what the product does: the residual under autocast, the base and the sum in
float32. int8 is simulated: before each convolution its input is rounded to 255 levels
(symmetric, one step size for the tensor), and its weights to 255 levels for each output
channel; sums are exact, as they are in the 32-bit accumulators of real int8 arithmetic.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from srnet.model import SRNet
from srnet.study.judge import SCALE, Judge
from srnet.study.ledger import Row
from srnet.study.trial import Bench
from srnet.weights import find, load, read_card

_TOP = 127  # largest int8 magnitude that is used


QUESTION = "precision"
SHIPPED = f"clean-x{SCALE}"


def rows(bench: Bench) -> list[Row]:
    """The shipped weights; the small networks were measured when they were trained."""
    card = read_card(find(SHIPPED)[0])
    key = {
        "question": QUESTION,
        "variant": f"{card.name} version {card.version}",
        "held_out": bench.judge.pictures,
    }
    return [bench.ledger.row(key, lambda: errors(load(find(SHIPPED)[0])[0].eval(), bench.judge))]


def errors(net: SRNet, judge: Judge) -> Row:
    """Differences from float32 in 8-bit levels (root mean square and largest), and in dB."""
    exact = judge.run(net)
    with torch.autocast("cpu", torch.bfloat16):
        half = judge.run(net)
    coarse = judge.run(quantized(net))
    before = judge.psnr(exact)
    result: Row = {}
    for name, output in (("bfloat16", half), ("int8", coarse)):
        difference = (output - exact) * 255
        result[name] = {
            "rms": round(float(difference.square().mean().sqrt()), 4),
            "max": round(float(difference.abs().max()), 3),
            "psnr_change": round(judge.psnr(output) - before, 4),
        }
    return {"low_precision": result}


def quantized(net: SRNet) -> SRNet:
    """A copy that computes as int8 would."""
    copied = copy.deepcopy(net)
    for module in copied.modules():
        if isinstance(module, nn.Conv2d):
            steps = module.weight.detach().abs().amax((1, 2, 3), keepdim=True) / _TOP
            module.weight.data = rounded(module.weight.detach(), steps)
            module.register_forward_pre_hook(_round_input)
    return copied


def _round_input(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Tensor, ...]:
    x: Tensor = inputs[0]
    return (rounded(x, x.abs().amax() / _TOP),)


def rounded(x: Tensor, step: Tensor) -> Tensor:
    """The nearest multiples of ``step``; a step of zero leaves zeros."""
    step = step.clamp_min(1e-12)
    return (x / step).round() * step
