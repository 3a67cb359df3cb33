"""Muon for convolutions.

Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024: momentum,
then the nearest (semi-)orthogonal matrix by five Newton-Schulz steps. A convolution kernel is
taken as an ``out x (in * 9)`` matrix, and the step is scaled to the root mean square of
Adam's (Liu et al., "Muon is scalable for LLM training", 2025), so both share a learning rate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_QUINTIC = (3.4445, -4.7750, 2.0315)  # the coefficients of Jordan et al.


def orthogonalize(matrices: Tensor, steps: int = 5) -> Tensor:
    """Approximate ``U V^T`` of each ``(n, rows, columns)`` matrix by Newton-Schulz."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = _QUINTIC
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = x.mT if tall else x
    return result


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum for parameters of two dimensions or more."""

    def __init__(
        self,
        params: Iterable[Any],  # parameters, or groups of them
        lr: float,
        momentum: float = 0.95,
    ) -> None:
        super().__init__(list(params), {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move each parameter that has a gradient; kernels of one shape in one product."""
        assert closure is None, "Muon does not re-evaluate the loss"
        for group in self.param_groups:
            same: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    same[p.shape].append(p)
            for params in same.values():
                self._step_shape(params, group)

    def _step_shape(self, params: list[Tensor], group: dict[str, Any]) -> None:
        for p in params:
            if not self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
        gradients = [p.grad for p in params if p.grad is not None]
        momenta = [self.state[p]["momentum"] for p in params]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        updates = torch._foreach_lerp(gradients, momenta, group["momentum"])
        matrices = torch.stack([u.flatten(1) for u in updates])  # (n, out, in * 9)
        scale = 0.2 * max(matrices.shape[1:]) ** 0.5
        steps = orthogonalize(matrices) * (group["lr"] * scale)
        shaped = [step.view_as(p) for p, step in zip(params, steps, strict=True)]
        torch._foreach_sub_(params, shaped)
