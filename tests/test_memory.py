"""Memory: input, output and one batch, whatever the size of the picture."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from srnet.card import Card
from srnet.model import SRNet, size
from srnet.weights import save

_CODE = """
import resource, sys, srnet
srnet.upscale(sys.argv[1], sys.argv[2], model=sys.argv[3], device="cpu", precision="float32")
unit = 1 if sys.platform == "darwin" else 1024
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
"""

HEIGHT, WIDTH = 4000, 6000  # 24 megapixels


def peak_bytes(weights: Path, folder: Path) -> int:
    """Peak resident memory of a process that upscales 24 megapixels by 2."""
    source, target = folder / "in.jpg", folder / "out.jpg"
    ramp = np.linspace(0, 255, WIDTH, dtype=np.uint8)
    picture = np.broadcast_to(ramp[None, :, None], (HEIGHT, WIDTH, 3)).copy()
    PIL.Image.fromarray(picture).save(source)
    env = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", _CODE, str(source), str(target), str(weights)],
        capture_output=True,
        text=True,
        check=True,
        env=env,  # all threads, as users have, each with memory of its own
    )
    return int(done.stdout)


LIMIT = 1.5 * (HEIGHT * WIDTH * 3) * (1 + 4) + 1.5e9  # input and output bytes, x2


@pytest.mark.skipif(sys.platform == "win32", reason="no resource module")
def test_peak_memory_of_24_megapixels(tiny_weights: dict[int, Path], tmp_path: Path) -> None:
    assert peak_bytes(tiny_weights[2], tmp_path) < LIMIT


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(sys.platform == "win32", reason="no resource module")
def test_peak_memory_of_24_megapixels_with_the_base_network(tmp_path: Path) -> None:
    net = size("base", 2)
    file = tmp_path / "untrained-x2.safetensors"
    save(file, SRNet(net), Card(name="untrained-x2", net=net, halo=net.halo))
    assert peak_bytes(file, tmp_path) < LIMIT
