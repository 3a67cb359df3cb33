"""Engines: where a network runs. One protocol, one method; PyTorch is the reference."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from srnet import tiles
from srnet.card import Card
from srnet.device import best_device, best_dtype, check_names
from srnet.errors import DeviceError
from srnet.weights import load, read_card

if TYPE_CHECKING:
    from srnet.model import SRNet

Pixels = npt.NDArray[np.float32]


class Engine(Protocol):
    """Runs one network."""

    @property
    def card(self) -> Card:
        """What the network is; known before anything is loaded."""
        ...

    def run(self, batches: Iterable[Pixels]) -> Iterator[Pixels]:
        """Enlarge batches, lazily and in order; safe to call from several threads at once.

        Each batch is ``(N, h, w, 3)`` float32 in [0, 1], sRGB-encoded; each result is
        ``(N, s * h, s * w, 3)`` float32, not clamped. The device is held for one batch at a
        time, first come first served.
        """
        ...


class Turnstile:
    """A lock that lets callers through in the order in which they came."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._taken = False

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for one's turn, and hold it for the length of the block."""
        mine = threading.Event()
        with self._guard:
            if self._taken:
                self._waiting.append(mine)
            else:
                self._taken = True
                mine.set()
        try:
            mine.wait()
            yield
        finally:
            self._leave(mine)

    def _leave(self, mine: threading.Event) -> None:
        with self._guard:
            if not mine.is_set():  # interrupted while it waited
                self._waiting.remove(mine)
            elif self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False


class TorchEngine:
    """Runs an :class:`srnet.model.SRNet` with PyTorch; loads it at the first batch.

    The base is computed in float32 always, the residual in ``precision``: ``auto`` takes
    bfloat16 where it was measured to be faster.
    """

    def __init__(
        self,
        weights: Path,
        device: str = "auto",
        precision: str = "auto",
        turnstile: Turnstile | None = None,
    ) -> None:
        check_names(device, precision)
        self.card = read_card(weights)
        self._weights, self._device, self._precision = weights, device, precision
        self._turnstile = Turnstile() if turnstile is None else turnstile
        self._loading = threading.Lock()
        self._net: SRNet | None = None
        self.dtype = ""  # of the residual, once loaded

    def run(self, batches: Iterable[Pixels]) -> Iterator[Pixels]:
        """See :meth:`Engine.run`.

        Raises:
            SetupError: the device is absent.
            DeviceError: out of memory even for a small tile.
        """
        net = self._loaded()
        for batch in batches:
            with self._turnstile.turn():
                result = self._run_one(net, batch)
            yield result

    def _loaded(self) -> SRNet:
        with self._loading:
            if self._net is None:
                import torch

                device = best_device(self._device)
                dtype = best_dtype(device, self._precision)
                net, _ = load(self._weights)
                self._net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
                self._net.requires_grad_(False)
                self._place, self._dtype = device, dtype
                self.dtype = str(dtype).removeprefix("torch.")
            return self._net

    def _run_one(self, net: SRNet, batch: Pixels) -> Pixels:
        """Run a batch; short of memory, halve the batch, then the tile."""
        result = self._attempt(net, batch)
        if result is not None:
            return result
        if len(batch) > 1:
            half = len(batch) // 2
            parts = (self._run_one(net, batch[:half]), self._run_one(net, batch[half:]))
            return np.concatenate(parts)
        return self._run_halves(net, batch[0])[None]

    def _run_halves(self, net: SRNet, picture: Pixels) -> Pixels:
        height, width = picture.shape[:2]
        halo, scale = self.card.halo, self.card.scale
        half = -(-max(height, width) // 2) + halo
        if half <= 2 * halo or half >= max(height, width):
            raise DeviceError(
                f"not enough memory even for a tile of {width} x {height} pixels: "
                "free some memory, or choose another device (--device cpu)"
            )
        canvas = np.empty((height * scale, width * scale, 3), np.float32)
        for tile in tiles.plan(height, width, half, halo):
            output = self._run_one(net, tiles.crop(picture, tile)[None])[0]
            tiles.paste(canvas, tile, tiles.core(output, tile, scale), scale)
        return canvas

    def _attempt(self, net: SRNet, batch: Pixels) -> Pixels | None:
        """The result, or None if memory ran out."""
        import torch

        try:
            with torch.inference_mode():
                x = torch.from_numpy(batch).to(self._place)
                x = x.permute(0, 3, 1, 2)  # (N, 3, h, w), channels_last in memory
                with torch.autocast(
                    self._place.type, self._dtype, enabled=self._dtype != torch.float32
                ):
                    y = net(x)
                result: Pixels = y.permute(0, 2, 3, 1).cpu().numpy()
                return result
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
        except RuntimeError as error:
            if "can't allocate memory" not in str(error):
                raise
        except MemoryError:
            pass
        return None
