"""Engines: where a network runs. One protocol, one method; PyTorch is the reference."""

from __future__ import annotations

import os
import sys
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from srnet import tiles
from srnet.card import Card
from srnet.device import NO_INT8, best_device, best_dtype, check_names
from srnet.errors import DeviceError, OptionError
from srnet.weights import load, read_card

Pixels = npt.NDArray[np.float32]

# One engine at a time starts in a process: PyTorch is imported and traces, OpenVINO compiles,
# none of which is promised to be safe in several threads. The next finds what is in the cache.
_starting = threading.Lock()


class Engine(Protocol):
    """Runs one network."""

    @property
    def card(self) -> Card:
        """What the network is; known before anything is loaded."""
        ...

    @property
    def kind(self) -> str:
        """What it runs in, such as ``openvino bfloat16``; empty before the first batch."""
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

    @contextmanager
    def turn_if_free(self) -> Iterator[bool]:
        """Never waits; says whether it is one's turn for the length of the block.

        For where waiting could be for oneself: generators are closed by the garbage collector too,
        which may run in a thread that has the turn.
        """
        mine = threading.Event()
        if not self._guard.acquire(blocking=False):
            yield False
            return
        free = not self._taken
        self._taken = True
        self._guard.release()
        mine.set()
        try:
            yield free
        finally:
            if free:
                self._leave(mine)

    def _leave(self, mine: threading.Event) -> None:
        with self._guard:
            if not mine.is_set():  # interrupted while it waited
                self._waiting.remove(mine)
            elif self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False


def _without_threads_of(process: int) -> None:
    """In a fork of ``process`` PyTorch would wait for its threads, which no child has."""
    if process not in (0, os.getpid()) and "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)


class LocalEngine(ABC):
    """What engines on this machine share: turns, lazy loading, memory that runs out.

    A subclass says how to load and how to run one batch.
    """

    runtime: ClassVar[str]
    _first: ClassVar[int] = 0  # the process in which one was first loaded

    def __init__(
        self,
        weights: Path,
        device: str = "auto",
        precision: str = "auto",
        turnstile: Turnstile | None = None,
    ) -> None:
        check_names(device, precision)
        self.card = read_card(weights)
        self.dtype = ""  # of the residual, once loaded: float32, bfloat16, int8 ...
        self._weights, self._device, self._precision = weights, device, precision
        self._turnstile = Turnstile() if turnstile is None else turnstile
        self._loading, self._loaded = threading.Lock(), False
        self._process = os.getpid()

    @property
    def kind(self) -> str:
        """Runtime and precision, such as ``openvino bfloat16``; empty before the first batch."""
        return f"{self.runtime} {self.dtype}" if self.dtype else ""

    @abstractmethod
    def _load(self) -> None:
        """Make ready; called once, before the first batch."""

    @abstractmethod
    def _attempt(self, batch: Pixels) -> Pixels | None:
        """The result, or None if memory ran out."""

    def _rest(self) -> None:  # noqa: B027 - nothing to do is an answer
        """Give back what only a run needs; called when the last batch is done."""

    def run(self, batches: Iterable[Pixels]) -> Iterator[Pixels]:
        """See :meth:`Engine.run`.

        Raises:
            SetupError: the device is absent.
            DeviceError: out of memory even for a small tile, or in a child of the process it was
                loaded in, which has none of its threads and would wait for them.
        """
        if self._loaded and os.getpid() != self._process:
            raise DeviceError(
                f"{self.card.name} was loaded by another process: call srnet.load in each process"
            )
        with self._loading:
            if not self._loaded:
                with _starting:
                    _without_threads_of(LocalEngine._first)
                    LocalEngine._first = LocalEngine._first or os.getpid()
                    self._load()
                self._loaded, self._process = True, os.getpid()
        try:
            for batch in batches:
                with self._turnstile.turn():
                    result = self._run_one(batch)
                yield result
        except BaseException:  # given up, perhaps by whoever takes the results
            with self._turnstile.turn_if_free() as free:
                if free:
                    self._rest()
            raise
        with self._turnstile.turn():
            self._rest()

    def _run_one(self, batch: Pixels) -> Pixels:
        """Run a batch; short of memory, halve the batch, then the tile."""
        result = self._attempt(batch)
        if result is not None:
            return result
        if len(batch) > 1:
            half = len(batch) // 2
            return np.concatenate((self._run_one(batch[:half]), self._run_one(batch[half:])))
        return self._run_halves(batch[0])[None]

    def _run_halves(self, picture: Pixels) -> Pixels:
        height, width = picture.shape[:2]
        halo, scale = self.card.halo, self.card.scale
        half = -(-max(height, width) // 2) + halo
        if half < tiles.least(halo) or half >= max(height, width):
            raise DeviceError(
                f"not enough memory even for a tile of {width} x {height} pixels: "
                "free some memory, or choose another device (--device cpu)"
            )
        canvas = np.empty((height * scale, width * scale, 3), np.float32)
        for tile in tiles.plan(height, width, half, halo):
            output = self._run_one(tiles.crop(picture, tile)[None])[0]
            tiles.paste(canvas, tile, tiles.core(output, tile, scale), scale)
        return canvas


class TorchEngine(LocalEngine):
    """Runs an :class:`srnet.model.SRNet` with PyTorch; loads it at the first batch.

    The base is computed in float32 always, the residual in ``precision``: ``auto`` takes
    bfloat16 where it was measured to be faster.

    Raises:
        OptionError: unknown device or precision; int8 is not for PyTorch.
    """

    runtime = "torch"

    def __init__(
        self,
        weights: Path,
        device: str = "auto",
        precision: str = "auto",
        turnstile: Turnstile | None = None,
    ) -> None:
        super().__init__(weights, device, precision, turnstile)
        if precision == "int8":
            raise OptionError(NO_INT8)

    def _load(self) -> None:
        import torch

        from srnet import fused
        from srnet.folded import folded

        self._place = best_device(self._device)
        self._dtype = best_dtype(self._place, self._precision)
        net, coarse = load(self._weights)[0], self._dtype != torch.float32
        if fused.fits(net.config, self._place, self._dtype):
            net = fused.Fused(net, self._dtype)
        else:
            net = folded(net, fine=coarse, joined=coarse)
        self._net = net.to(self._place, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._net.requires_grad_(False)
        self.dtype = str(self._dtype).removeprefix("torch.")

    def _attempt(self, batch: Pixels) -> Pixels | None:
        import torch

        try:
            with torch.inference_mode():
                x = torch.from_numpy(batch).to(self._place)
                x = x.permute(0, 3, 1, 2)  # (N, 3, h, w), channels_last in memory
                with torch.autocast(
                    self._place.type, self._dtype, enabled=self._dtype != torch.float32
                ):
                    y = self._net(x)
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
