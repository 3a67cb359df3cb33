"""The network as engines run it: the first two convolutions in one, and less lost in bfloat16.

There is no activation between the first convolution and that which opens the first block, so
they are one convolution of 5x5 on three channels, an eighth of the work. It runs in float32.

Nearly half of the squared error of bfloat16 came from inside the first block (of ``clean-x4``, on
photographs), most of that from a few of its channels, large ones that nearly cancel. With ``fine``
those channels go on as two numbers, steps of 1/64 and what is left: together good to 2 ** -16.
:mod:`srnet.basis` puts them first. The second convolution reads both, so that nothing else changes.
It is two convolutions and a sum where the runtime rounds after the sum (OpenVINO), and one where
it would round each term too (PyTorch; ``joined``).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srnet.model import SRNet, bias_of, centred

_WIDE = 64
_STEPS = 64  # in one; bfloat16 holds them exactly up to four, which few inner values reach


def fine_channels(width: int) -> int:
    """How many inner channels of the first block go on as two numbers.

    So many that they make as many as the other convolutions read, with three of pixels and one.
    None of a narrow network: it would take 7 % more time, and is close as it is.
    """
    return 0 if width < _WIDE else width // 2 - 2


def folded(net: SRNet, fine: bool = False, joined: bool = False) -> SRNet:
    """An equal network, faster; with ``fine`` it loses less where the rest is rounded."""
    return Folded(net, fine, joined) if net.config.blocks else net


class Folded(SRNet):
    """See :func:`folded`; for networks with a block or more. Parameters are copies."""

    kernel: Tensor
    bias: Tensor
    side: Tensor

    def __init__(self, net: SRNet, fine: bool, joined: bool = False) -> None:
        super().__init__(net.config)
        self.load_state_dict(net.state_dict())
        self.requires_grad_(False)
        self.fine = fine_channels(net.config.features) if fine else 0
        self.joined = joined
        kernel, bias = _in_one(self.head, self.first.conv1)
        self.register_buffer("kernel", kernel, persistent=False)  # (features, 3, 5, 5)
        self.register_buffer("bias", bias, persistent=False)
        side, rest = self._side(), self.first.conv2.weight[:, self.fine :]
        if joined:
            side = torch.cat((side, rest), dim=1)
        self.register_buffer("side", side, persistent=False)

    def _side(self) -> Tensor:
        """What reads pixels, one, and the fine channels in two parts: the shortcut is in it.

        The bias is the weight of the one: OpenVINO adds those of two convolutions apart.
        """
        head, fine = self.head, self.first.conv2.weight[:, : self.fine]
        pixels = head.weight if self.first.shortcut is not None else 0 * head.weight
        one = torch.zeros_like(pixels[:, :1])
        if self.first.shortcut is not None:
            one[:, 0, 1, 1] = bias_of(head)
        return torch.cat((pixels, one, -fine, fine), dim=1)  # (features, 4 + 2 * fine, 3, 3)

    def phases(self, x: Tensor) -> Tensor:
        """See :meth:`srnet.model.SRNet.phases`."""
        first, fine = self.first, self.fine
        with torch.autocast(x.device.type, enabled=False):
            pixels = centred(x.float())
            inner = self._inner(pixels, slice(fine, None))
            if fine:
                side = self._read(pixels)
        shallow = self.head(pixels)
        if not fine:
            return self.finished(shallow, first.closed(shallow, inner))
        if self.joined:
            read = torch.cat((side, inner), dim=1)
            return self.finished(shallow, F.conv2d(read, self.side, first.conv2.bias, padding=1))
        rest = F.conv2d(inner, first.conv2.weight[:, fine:], first.conv2.bias, padding=1)
        return self.finished(shallow, F.conv2d(side, self.side, padding=1) + rest)

    def _inner(self, pixels: Tensor, channels: slice) -> Tensor:
        kernel, bias = self.kernel[channels], self.bias[channels]
        inner: Tensor = self.first.act(F.conv2d(pixels, kernel, bias, padding=2))
        return inner

    def _read(self, pixels: Tensor) -> Tensor:
        """What :meth:`_side` is for, ``(N, 4 + 2 * fine, h, w)``."""
        values = self._inner(pixels, slice(self.fine))
        less = torch.round(values * _STEPS) * (-1 / _STEPS)  # OpenVINO makes two of a difference
        one = torch.ones_like(pixels[:, :1])
        return torch.cat((pixels, one, less, values + less), dim=1)


@torch.no_grad()
def _in_one(before: nn.Conv2d, after: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Kernel and bias of two convolutions of 3x3 after each other."""
    first, second = before.weight.double(), after.weight.double()
    kernel = F.conv2d(second, first.flip(2, 3).transpose(0, 1), padding=2)
    bias = second.sum((2, 3)) @ bias_of(before).double() + bias_of(after).double()
    return kernel.float(), bias.float()
