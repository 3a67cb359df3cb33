"""What a training asks of the machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

_CODE = """
import resource, sys
import numpy as np
from srnet.device import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
np.ones(8_000_000)  # 64 MB
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(8_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """Pages that were fetched for memory which had been freed before."""
    line = [sys.executable, "-c", _CODE, how]
    return int(subprocess.run(line, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="for glibc")
def test_freed_memory_is_kept() -> None:
    given_back = faults("given back")
    if given_back < 1000:
        pytest.skip("this malloc keeps freed memory by itself")
    assert faults("kept") < given_back / 100
