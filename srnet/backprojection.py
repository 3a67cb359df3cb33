"""Back-projection: what an enlargement has to change in order to shrink to its input.

Irani and Peleg, "Improving resolution by image registration", CVGIP 53(3), 1991: shrink the
result, enlarge what is missing from the input, add that. Here it is one such step, in the graph
itself, with the bicubic interpolation that is the base of the network, and no picture at high
resolution is needed for it: pixels of the result are phases, before the pixel-shuffle.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srnet.bicubic import PHASE_REACH, enlarging_line, shrinking_line

_COLOURS = 3


class BackProjection(nn.Module):
    """What is missing from a result that is an enlarged picture and more."""

    rows: Tensor
    columns: Tensor
    again: Tensor

    def __init__(self, scale: int) -> None:
        super().__init__()
        shrink = torch.from_numpy(shrinking_line(scale)).float()  # (s, 5)
        size = shrink.shape[1]
        # along columns of pixels, then along rows, and negative: fewer products than both at once
        rows = torch.zeros(_COLOURS, scale, _COLOURS, scale, scale, size)
        columns = torch.zeros(_COLOURS, _COLOURS, scale, size)
        for colour in range(_COLOURS):
            for j in range(scale):
                rows[colour, j, colour, :, j] = shrink
                columns[colour, colour, j] = -shrink[j]
        self.register_buffer("rows", rows.reshape(-1, _COLOURS * scale**2, size, 1), False)
        self.register_buffer("columns", columns.reshape(_COLOURS, -1, 1, size), False)
        self.register_buffer("again", _enlarged_and_shrunk(scale), False)  # (3, 3, 9, 1)

    def forward(self, x: Tensor, phases: Tensor) -> Tensor:
        """``x - shrunk(enlarged(x) + shuffled(phases))``, of which the border has to be guessed.

        ``x`` is ``(N, 3, h, w)``; ``phases`` are what is added to its bicubic enlargement,
        ``(N, 3 * s * s, h, w)``. All in float32, as the result, ``(N, 3, h, w)``. Beyond the border
        pixels are repeated, and nothing is added.

        Without a difference and a slice: OpenVINO runs those in the precision of the rest.
        """
        r = PHASE_REACH
        around = F.pad(x, (2 * r, 2 * r, 2 * r, 2 * r), mode="replicate")
        back = F.conv2d(F.conv2d(around, self.again), -self.again.transpose(2, 3))
        added = F.conv2d(phases, self.rows, padding=(r, 0))
        return x + back + F.conv2d(added, self.columns, padding=(0, r))


def _enlarged_and_shrunk(scale: int) -> Tensor:
    """What both do to a picture, in one dimension, as a kernel."""
    pairs = zip(shrinking_line(scale), enlarging_line(scale), strict=True)
    line = np.sum([np.convolve(small, large) for small, large in pairs], axis=0)
    kernel = torch.zeros(_COLOURS, _COLOURS, len(line), 1)
    for colour in range(_COLOURS):
        kernel[colour, colour, :, 0] = torch.from_numpy(line)
    return kernel
