"""Tiny networks and fake engines that the tests share."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from srnet.bicubic import resize
from srnet.card import Card, Degradation, NetConfig

# A time limit for each example fails on busy machines, which says nothing about the code.
hypothesis.settings.register_profile("srnet", deadline=None)
hypothesis.settings.load_profile("srnet")

TINY = {"features": 4, "blocks": 1}


def tiny_card(
    scale: int = 2, name: str = "tiny", degradation: Degradation = "clean", **net: object
) -> Card:
    config = NetConfig(scale=scale, **{**TINY, **net})
    return Card(f"{name}-x{scale}", config, config.halo, degradation=degradation)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled networks go to a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Weights files of random networks that add a visible residual, one for each scale."""
    import torch

    from srnet.model import SRNet
    from srnet.weights import save

    folder = tmp_path_factory.mktemp("weights")
    files = {}
    for scale in (2, 3, 4):
        torch.manual_seed(scale)
        card = tiny_card(scale)
        net = SRNet(card.net)
        torch.nn.init.normal_(net.tail.weight, std=0.05)
        files[scale] = folder / f"{card.name}.safetensors"
        save(files[scale], net, card)
    return files


class FakeEngine:
    """Bicubic plus a constant, without torch; remembers the shapes of its batches."""

    kind = "fake float32"

    def __init__(self, scale: int = 2, added: float = 0.0) -> None:
        self.card = tiny_card(scale, "fake")
        self.added = added
        self.shapes: list[tuple[int, ...]] = []

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        s = self.card.scale
        for batch in batches:
            self.shapes.append(batch.shape)
            height, width = batch.shape[1] * s, batch.shape[2] * s
            yield np.stack([resize(x, height, width, "replicate") + self.added for x in batch])


@pytest.fixture
def fake_engine() -> type[FakeEngine]:
    return FakeEngine


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[], None]]:
    """A function for any thread but the main one: presses Ctrl-C, and waits until it was felt."""
    felt = threading.Event()

    def feel(*_: object) -> None:
        felt.set()
        raise KeyboardInterrupt

    def press() -> None:
        _thread.interrupt_main()
        assert felt.wait(60)

    before = signal.signal(signal.SIGINT, feel)
    yield press
    signal.signal(signal.SIGINT, before)
