"""Time and memory of whole processes.

A process inherits the peak of the memory of the one that starts it, so a small one, which is this
file as a script, stands between: without it, all would seem as large as the benchmark itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_BYTES = 1 if sys.platform == "darwin" else 1024  # in which the system counts memory


@dataclass(frozen=True)
class Usage:
    """Of a process that has ended: ``seconds`` of the wall, ``peak`` resident memory in bytes."""

    seconds: float
    peak: int


def measured(command: Sequence[str], env: Mapping[str, str] | None = None) -> Usage:
    """Run a command in a fresh process, from start to end; ``env`` is added to the environment.

    Raises:
        RuntimeError: it could not be started or failed; the message is its last line.
    """
    own = (sys.executable, "-I", "-S", __file__, *command)
    changed = {**os.environ, **(env or {})}
    done = subprocess.run(
        own, capture_output=True, text=True, errors="replace", check=False, env=changed
    )
    if done.returncode:
        said = done.stderr.split("\n")
        last = next((line for line in reversed(said) if line.strip()), "it said nothing")
        raise RuntimeError(f"exit code {done.returncode}: {last.strip()[:200]}")
    return Usage(**json.loads(done.stdout))


def _main(command: list[str]) -> int:
    """Run the command, its output on standard error; print what it used."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr) as process:
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    print(json.dumps({"seconds": seconds, "peak": usage.ru_maxrss * _BYTES}))  # noqa: T201
    return process.returncode


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
