"""The compiled form in the user's cache, also for several at once."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from srnet.cache import Cache
from srnet.openvino_engine import OpenVINOEngine
from srnet.weights import find_one

pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install '.[openvino]'")
from tests.openvino.support import X, run


@pytest.mark.parametrize("precision", ["auto", "int8"])
def test_the_second_start_needs_no_torch(
    tiny_weights: dict[int, Path], tmp_path: Path, precision: str
) -> None:
    weights = find_one("fast-x2") if precision == "int8" else tiny_weights[2]
    code = f"""
import sys, numpy as np
from pathlib import Path
from srnet.openvino_engine import OpenVINOEngine
engine = OpenVINOEngine(Path({str(weights)!r}), "cpu", {precision!r}, cache=Path({str(tmp_path)!r}))
print(next(engine.run([np.zeros((1, 4, 5, 3), np.float32)])).shape, "torch" in sys.modules)
"""
    command = [sys.executable, "-c", code]
    outputs = [subprocess.check_output(command, text=True).strip() for _ in range(2)]
    assert outputs == ["(1, 8, 10, 3) True", "(1, 8, 10, 3) False"]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_memory_hardly_grows_with_the_number_of_shapes(
    tiny_weights: dict[int, Path], tmp_path: Path
) -> None:
    code = f"""
import numpy as np
import PIL.Image
from pathlib import Path
from srnet.openvino_engine import OpenVINOEngine
engine = OpenVINOEngine(Path({str(tiny_weights[2])!r}), cache=Path({str(tmp_path)!r}))
for i in range(600):
    next(engine.run([np.zeros((1, 4 + i, 9, 3), np.float32)]))
    if i in (99, 599):
        print(Path("/proc/self/statm").read_text().split()[1])
"""
    before, after = map(int, subprocess.check_output([sys.executable, "-c", code]).split())
    assert (after - before) * resource.getpagesize() < 100e6, (before, after)


def test_damaged_and_useless_entries_are_made_again(
    tiny_weights: dict[int, Path], tmp_path: Path
) -> None:
    expected = run(tiny_weights[2], tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    np.testing.assert_array_equal(run(tiny_weights[2], tmp_path), expected)
    assert file.read_bytes() != whole[: len(whole) // 2]
    for parts in (
        {},
        {"dtype": b"float32"},
        {"dtype": b"float32", "residual": b"rubbish"},
        {"dtype": b"float9", "residual": b""},
        {"dtype": b"\xff", "residual": b""},
    ):
        Cache(tmp_path).write(file.stem, parts)
        np.testing.assert_array_equal(run(tiny_weights[2], tmp_path), expected)


def test_each_weights_file_and_precision_has_its_entry(
    tiny_weights: dict[int, Path], tmp_path: Path
) -> None:
    for scale in (2, 3):
        for precision in ("float32", "auto"):
            run(tiny_weights[scale], tmp_path, precision)
            run(tiny_weights[scale], tmp_path, precision)
    assert len(list(tmp_path.iterdir())) == 4


def test_engines_that_start_at_once(
    tiny_weights: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them compiles, the others find what it left; nobody sees the others' warnings."""
    builds: list[int] = []
    build, together = OpenVINOEngine._build, threading.Barrier(4)

    def counted(engine: OpenVINOEngine) -> dict[str, bytes]:
        builds.append(threading.get_ident())
        return build(engine)

    def start(_: int) -> np.ndarray:
        together.wait(60)
        return run(tiny_weights[2], tmp_path)

    monkeypatch.setattr(OpenVINOEngine, "_build", counted)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(start, range(4)))  # raises what a thread raised
    for result in results:
        np.testing.assert_array_equal(result, results[0])
    assert len(builds) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_warnings_of_other_threads_stay_as_they_are(
    tiny_weights: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Filters are one list for a process: to swap it would undo what another thread did."""
    seen: list[object] = []
    trace = torch.jit.trace

    def traced(*options: object) -> object:
        seen.append(warnings.filters)
        return trace(*options)

    monkeypatch.setattr(torch.jit, "trace", traced)
    run(tiny_weights[2], tmp_path)
    assert seen
    assert all(filters is warnings.filters for filters in seen)


def test_a_thread_that_takes_the_filter_along(
    tiny_weights: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace, calls = torch.jit.trace, []

    def traced(*options: object) -> object:
        calls.append(options)
        if len(calls) < 3:
            warnings.filters.pop(0)  # the end of another thread's catch_warnings
        return trace(*options)

    monkeypatch.setattr(torch.jit, "trace", traced)
    assert run(tiny_weights[2], tmp_path).shape == (1, 18, 22, 3)
    assert len(calls) > 3  # twice in vain, then for the residual and the base


_AT_ONCE = """
import sys
import numpy as np
import PIL.Image
from pathlib import Path
from srnet.openvino_engine import OpenVINOEngine
weights, cache = map(Path, sys.argv[1:])
print("ready", flush=True)
sys.stdin.readline()
engine = OpenVINOEngine(weights, "cpu", "float32", cache=cache)
result = next(engine.run([np.ones((1, 9, 11, 3), np.float32)]))
print(result.tobytes().hex())
"""


def test_processes_that_start_at_once(tiny_weights: dict[int, Path], tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", _AT_ONCE, str(tiny_weights[2]), str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:  # all have imported what they need
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert len(outputs[0]) > 1
    assert len(set(outputs)) == 1
    assert len(list(tmp_path.iterdir())) == 1  # and no part of a file


def test_a_user_without_a_home_goes_without_a_cache(
    tiny_weights: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import platformdirs

    def lost(*_: object, **__: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    expected = run(tiny_weights[2], tmp_path)
    monkeypatch.setattr(platformdirs, "user_cache_path", lost)
    found = next(OpenVINOEngine(tiny_weights[2], "cpu", "float32").run([X]))
    np.testing.assert_array_equal(found, expected)
