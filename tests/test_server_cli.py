"""``srnet serve`` and ``srnet health``."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from server.main import _something_was_left
from server.settings import Settings
from srnet.cli import main
from srnet.weights import find_one
from tests.serving import in_thread, served


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SRNET_HOST", "SRNET_PORT", "SRNET_MODELS", "SRNET_API_KEYS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SRNET_DATA_DIR", str(tmp_path))


def test_settings_are_printed(monkeypatch, capsys) -> None:
    monkeypatch.setenv("SRNET_API_KEYS", "hidden")
    assert main(["serve", "--port", "1234", "--print-settings"]) == 0
    text = capsys.readouterr().out
    assert "SRNET_PORT=1234" in text
    assert "hidden" not in text
    assert "[MB]" in text


@pytest.mark.parametrize("key", ["clé", "鍵", "a\tb", "a\x7f"])
def test_keys_that_no_header_carries_are_refused_and_not_told(tmp_path: Path, key: str) -> None:
    good = "two words & {signs}"
    assert Settings(data_dir=tmp_path, api_keys=good).api_keys[0].get_secret_value() == good
    with pytest.raises(ValidationError, match="as number 2") as caught:
        Settings(data_dir=tmp_path, api_keys=f"{good},{key}")
    assert key not in str(caught.value)
    assert good not in str(caught.value)


def test_misspelt_settings_are_named(monkeypatch, capsys) -> None:
    monkeypatch.setenv("SRNET_RUNING", "3")
    for fine in ("SRNET_DEBUG", "SRNET_SERVICE_HOST", "SRNET_PORT_8000_TCP_ADDR"):
        monkeypatch.setenv(fine, "0")
    assert main(["serve", "--print-settings"]) == 0
    assert capsys.readouterr().err == (
        "srnet: warning: SRNET_RUNING is no setting and is ignored: did you mean SRNET_RUNNING?\n"
    )


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"SRNET_RUNNING": "0"}, "SRNET_RUNNING"),
        ({"SRNET_TIME_LIMIT": "soon"}, "SRNET_TIME_LIMIT"),
        ({"SRNET_MAX_MEGAPIXELS": "inf"}, "SRNET_MAX_MEGAPIXELS should be a finite number"),
        ({"SRNET_STORE_MB": "nan"}, "SRNET_STORE_MB should be a finite number"),
        ({"SRNET_KEEP_SECONDS": "1e12"}, "SRNET_KEEP_SECONDS should be less than or equal to 1000"),
        ({"SRNET_TILE": "1000000000"}, "SRNET_TILE should be less than or equal to 10000"),
        ({"SRNET_MODELS": "nope"}, "nope"),
        ({"SRNET_PRECISION": "int9"}, "SRNET_PRECISION"),
        ({"SRNET_ENGINE": "abacus"}, "SRNET_ENGINE should be 'auto', 'torch' or 'openvino'"),
        ({"SRNET_HOSTS": "*.example"}, "has whole names or addresses"),
        ({"SRNET_HOSTS": "::1"}, "SRNET_HOSTS has whole names"),
        ({"SRNET_CORS_ORIGINS": "https://*.example"}, "SRNET_CORS_ORIGINS has origins such as"),
        ({"SRNET_HOSTS": "a.example,b.example:80"}, "IPv6 ([::1]), not b.example:80"),
        ({"SRNET_CORS_ORIGINS": "pictures.example"}, "https://pictures.example, not pictures"),
        ({"SRNET_API_KEYS": ","}, "SRNET_API_KEYS has nothing between its commas"),
        ({"SRNET_HOSTS": " "}, "SRNET_HOSTS has nothing"),
        ({"SRNET_API_KEYS": "one,clé"}, "SRNET_API_KEYS has keys of ASCII letters"),
        ({"SRNET_HOST": "192.0.2.1", "SRNET_MODELS": ""}, ""),
        ({"SRNET_DATA_DIR": "/dev/null/x"}, "SRNET_DATA_DIR"),
    ],
)
def test_what_cannot_work_is_one_line(monkeypatch, capsys, variables, says) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["serve"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("srnet: error: ")
    assert error.count("\n") == 1
    assert says in error


def test_the_end_of_the_grace_period_is_told_only_if_something_was_left() -> None:
    def told(*args: object) -> bool:
        words = "Cancel %s running task(s), timeout graceful shutdown exceeded"
        record = logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, words, args, None)
        return _something_was_left(record)

    assert [told(0), told(1)] == [False, True]


def test_a_port_that_is_none(capsys) -> None:
    assert main(["serve", "--port", "99999"]) == 2
    said = capsys.readouterr().err
    assert said == "srnet: error: --port should be less than or equal to 65535, not 99999\n"


def test_what_kubernetes_makes_of_a_service_named_srnet_is_no_port(monkeypatch, capsys) -> None:
    monkeypatch.setenv("SRNET_PORT", "tcp://10.0.0.1:80")
    assert main(["serve", "--print-settings"]) == 0
    assert "SRNET_PORT=8000" in capsys.readouterr().out
    assert main(["health"]) in (0, 1)  # something else may listen there
    assert "SRNET_PORT" not in capsys.readouterr().err


def test_health_of_a_port_that_is_none(monkeypatch, capsys) -> None:
    monkeypatch.setenv("SRNET_PORT", "high")
    assert main(["health"]) == 2
    assert "SRNET_PORT" in capsys.readouterr().err


def test_missing_packages_are_named(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert main(["serve"]) == 2
    assert "pip install '.[serve]'" in capsys.readouterr().err


def health(*arguments: str, **variables: str) -> tuple[int, str]:
    """Exit code and errors of a process of its own, as a container runs it: here is a server."""
    done = subprocess.run(
        [sys.executable, "-m", "srnet", "health", *arguments],
        env={**os.environ, "http_proxy": "http://192.0.2.1:1", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


def test_health(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        port = str(server.port)
        assert health("--port", port) == (0, "")
        assert health(SRNET_PORT=port, SRNET_HOST="0.0.0.0") == (0, "")
        elsewhere = {"SRNET_PORT": port, "SRNET_HOST": "192.0.2.1"}
        assert health("--host", "127.0.0.1", **elsewhere) == (0, "")
        server.service._loop.call_soon_threadsafe(server.service.begin_drain)
        code, said = health("--port", port)
        assert code == 1
        assert "not ready" in said
    code, said = health("--port", port)
    assert code == 1
    assert "does not answer" in said


def test_hosts_and_origins_are_written_as_browsers_do(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        hosts="Pictures.Example,[::1]",
        cors_origins="https://App.Example:443/,null,tauri://localhost,http://a.example:8080",
    )
    assert settings.hosts == ("pictures.example", "[::1]")
    assert settings.cors_origins == (
        "https://app.example",
        "null",
        "tauri://localhost",
        "http://a.example:8080",
    )


def test_a_system_that_lacks_what_it_needs_is_told_so(monkeypatch, capsys, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "server.main", raising=False)
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert main(["serve", "--port", "0"]) == 2
    assert "runs on Linux and macOS, or in the container (fcntl" in capsys.readouterr().err


def test_health_of_what_is_no_such_service() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            client, _ = other.accept()
            with client:
                client.sendall(b"220 mail.example ready\r\n")
                client.recv(1000)

        in_thread(answer)
        code, said = health("--port", str(other.getsockname()[1]))
    assert (code, said.count("\n")) == (1, 1)
    assert "does not answer" in said
    assert "does not answer" in health("--host", "a..b")[1]


def test_empty_address_is_not_every_address(capsys) -> None:
    assert main(["serve", "--host", ""]) == 2
    assert "--host" in capsys.readouterr().err


def test_models_of_one_name_are_refused(tmp_path: Path, capsys, monkeypatch) -> None:
    here = find_one("fast-x2")
    there = shutil.copy(here, tmp_path)
    monkeypatch.setenv("SRNET_MODELS", f"{here},{there}")
    assert main(["serve"]) == 2
    assert "fast-x2 twice" in capsys.readouterr().err
