"""Engines between threads and processes, and runs that are given up."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from srnet.engine import Turnstile
from srnet.errors import DeviceError
from tests.engine.support import Made


def test_results_are_ones_own(engine: Made, rng: np.random.Generator) -> None:
    first, second = rng.random((2, 1, 8, 8, 3), np.float32)
    results = engine.run([first, second, first])
    kept = next(results)
    copy = kept.copy()
    next(results)
    np.testing.assert_array_equal(kept, copy)
    np.testing.assert_array_equal(next(results), copy)


def test_many_threads_get_their_own_results(engine: Made) -> None:
    inputs = [np.full((1, 4 + i, 5, 3), i / 8, np.float32) for i in range(8)]
    expected = [next(engine.run([x])) for x in inputs]
    found: dict[int, np.ndarray] = {}

    def work(i: int) -> None:
        for result in engine.run([inputs[i]] * 3):
            found[i] = result

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, result in found.items():
        np.testing.assert_array_equal(result, expected[i])


def test_turnstile_is_first_come_first_served() -> None:
    turnstile, order = Turnstile(), []
    with turnstile.turn():
        threads = []
        for i in range(5):
            thread = threading.Thread(target=lambda i=i: _enter(turnstile, order, i))
            thread.start()
            while len(turnstile._waiting) <= i:  # until it waits, so that the order is known
                pass
            threads.append(thread)
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def _enter(turnstile: Turnstile, order: list[int], i: int) -> None:
    with turnstile.turn():
        order.append(i)


def test_a_run_that_is_given_up_leaves_the_engine_free(engine: Made) -> None:
    x = np.zeros((1, 4, 4, 3), np.float32)
    run = engine.run([x] * 3)
    next(run)
    run.close()
    assert len(list(engine.run([x] * 2))) == 2


@pytest.mark.parametrize("busy", [False, True])
def test_a_run_that_is_given_up_rests_but_never_waits(
    engine: Made, busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[bool] = []
    run = engine.run([np.zeros((1, 4, 4, 3), np.float32)] * 3)
    next(run)
    monkeypatch.setattr(engine, "_rest", lambda: rests.append(True))
    with engine._turnstile.turn() if busy else contextlib.nullcontext():
        run.close()  # as the garbage collector does, in the thread that has the turn
    assert rests == [True] * (not busy)
    assert len(list(engine.run([np.zeros((1, 4, 4, 3), np.float32)]))) == 1


def test_an_engine_stays_in_its_process(engine: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.zeros((1, 4, 4, 3), np.float32)
    monkeypatch.setattr(os, "getpid", lambda: 1)
    next(engine.run([x]))  # it was made elsewhere, and loaded here
    monkeypatch.undo()
    with pytest.raises(DeviceError, match=r"loaded by another process: call srnet\.load in each"):
        next(engine.run([x]))


_FORK = """
import os, sys
import numpy as np
import srnet

def enlarge():
    return srnet.load(sys.argv[1], device="cpu", engine=sys.argv[2], precision="float32")(X)

X = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
expected = enlarge()
child = os.fork()
if not child:
    os._exit(not np.array_equal(enlarge(), expected))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_that_loads_its_own_is_not_left_waiting(
    engine: Made, tiny_weights: dict[int, Path]
) -> None:
    command = [sys.executable, "-c", _FORK, str(tiny_weights[2]), engine.runtime]
    subprocess.run(command, check=True, timeout=60, env={**os.environ, "OMP_NUM_THREADS": "2"})
