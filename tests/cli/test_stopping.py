"""A run that is interrupted, and interrupted again."""

from __future__ import annotations

import _thread
import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import srnet.product
from srnet.cli.stopping import interrupted_once
from srnet.upscaler import Upscaler
from tests.cli.support import Interrupting, picture

# Under load, workers of pytest-xdist have died in here without a word; why is not known.
pytestmark = pytest.mark.alone


def test_a_second_ctrl_c_lets_the_run_end_and_tell(
    up, here, fake_engine, ctrl_c, monkeypatch, capsys
):
    for i in range(12):
        picture(here / "in" / f"{i:02}.png", height=40, width=40)

    def press() -> None:
        ctrl_c()
        for _ in range(2):
            time.sleep(0.2)  # for the run to begin to end
            _thread.interrupt_main()
        time.sleep(0.2)

    engine = Interrupting(fake_engine, press)
    monkeypatch.setattr(srnet.product, "load", lambda *_, **__: Upscaler([engine]))
    assert up("in", "-o", "out", "--tile", "32", "--report", "report.json") == 130
    assert "srnet: interrupted after " in capsys.readouterr().err
    report = json.loads(Path("report.json").read_text())
    assert report["interrupted"]
    assert report["totals"]["done"] + report["totals"]["pending"] == 12
    assert report["totals"]["done"] == len(list(Path("out").iterdir()))


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_only_the_first_signal_is_felt(monkeypatch, second):
    before = {n: signal.signal(n, signal.default_int_handler) for n in {signal.SIGINT, second}}
    try:
        with interrupted_once():
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            signal.raise_signal(second)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(second)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as under nohup
    try:
        with interrupted_once():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_thread_has_no_signals_and_no_trouble(up):
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(up, "a.png", "-o", "b.png").result() == 0


_TERMINATED = """
import signal, sys
import srnet.product
from srnet.cli import main
srnet.product.load = lambda *_, **__: signal.raise_signal(signal.SIGTERM)
code = main()
signal.raise_signal(signal.SIGTERM)  # once more, while the process ends
signal.raise_signal(signal.SIGINT)
sys.exit(code)
"""


def test_being_terminated_is_felt_as_ctrl_c(here):
    command = [sys.executable, "-c", _TERMINATED, "upscale", "a.png", "-o", "b.png"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 130
    assert not Path("b.png").exists()
