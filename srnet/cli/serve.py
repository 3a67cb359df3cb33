"""``srnet serve`` and ``srnet health``: the HTTP service, and the question whether it is well."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from srnet.cli.console import say, tell
from srnet.cli.options import flag, option
from srnet.errors import OptionError, SetupError, SRNetError

if TYPE_CHECKING:
    from server.settings import Settings

_WAIT = 4.0  # seconds for an answer about health


def serve(
    host: Annotated[
        str | None,
        option("ADDRESS", "Where to listen; default 127.0.0.1, and 0.0.0.0 is every address."),
    ] = None,
    port: Annotated[
        int | None, option("PORT", "From 1 to 65535; default 8000, and 0 takes a free one.")
    ] = None,
    print_settings: Annotated[
        bool, flag("--print-settings", "Print every setting and end.")
    ] = False,
) -> None:
    """Serve a page for browsers and an HTTP interface.

    A browser shows the page at /. POST pictures to /v1/upscale. See also /docs.
    Variables SRNET_... are the other settings: see --print-settings.
    Needs the packages of the extra called serve.
    """
    given = {"host": host, "port": port}
    settings = _settings({name: value for name, value in given.items() if value is not None})
    _warn()
    if print_settings:
        _print(settings)
        return
    with suppress(KeyboardInterrupt):  # while it loads; then it ends in order by itself
        run = _runner()
        run(settings)


def _runner() -> Callable[[Settings], None]:
    try:
        from server.main import run
    except ImportError as error:  # fcntl and resource, which Windows has not
        raise SetupError(
            f"the service runs on Linux and macOS, or in the container ({error.name} is missing)"
        ) from error
    return run


def _settings(given: dict[str, Any]) -> Settings:
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
        from pydantic import ValidationError

        from server.settings import Settings
    except ImportError as error:
        raise SetupError(
            f"the service needs more packages ({error.name}): "
            "pip install '.[serve]' in the clone of srnet"
        ) from error
    try:
        return Settings(**given)
    except ValidationError as error:
        raise OptionError("; ".join(_wrong(item, given) for item in error.errors())) from error


def _wrong(item: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """One error of pydantic; what was given may be a secret, but not on the command line."""
    name, message = (
        _name(item["loc"]),
        item["msg"].removeprefix("Input ").removeprefix("Value error, "),
    )
    if name.lower() in given:
        return f"--{name.lower()} {message}, not {item['input']!r}"
    return f"SRNET_{name} {message}"


def _warn() -> None:
    from server.settings import misspelt

    for sentence in misspelt(os.environ):
        say(f"srnet: warning: {sentence}")


def _name(location: tuple[int | str, ...]) -> str:
    return "_".join(str(part) for part in location).upper()


def _print(settings: Settings) -> None:
    rows = list(settings.described())
    width = max(len(f"{name}={value}") for name, value, _, _ in rows)
    for name, value, unit, meaning in rows:
        note = f"{meaning} [{unit}]" if unit else meaning
        tell(f"{f'{name}={value}':{width}}  # {note}")


def health(
    port: Annotated[
        int | None, option("PORT", "Port of the service; default SRNET_PORT, else 8000.")
    ] = None,
    host: Annotated[
        str | None, option("ADDRESS", "Where it listens; default SRNET_HOST, else 127.0.0.1.")
    ] = None,
) -> None:
    """Ask the service on this machine whether it takes work.

    Exit code 0 if so, else 1.
    """
    import http.client
    import urllib.error
    import urllib.request

    host = host or os.environ.get("SRNET_HOST") or "127.0.0.1"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here
    host = f"[{host}]" if ":" in host else host
    number = _port() if port is None else port
    # Never through a proxy: what is asked about is this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{host}:{number}/readyz", timeout=_WAIT) as answer:
            tell(answer.read(100).decode("ascii", "replace").strip())
    except urllib.error.HTTPError as error:
        raise SRNetError(f"the service is not ready (status {error.code})") from error
    except (OSError, http.client.HTTPException, UnicodeError) as error:  # or it is another one
        raise SRNetError(f"the service does not answer on {host} port {number}") from error


def _port() -> int:
    given = os.environ.get("SRNET_PORT") or "8000"
    if given.startswith("tcp://"):  # from Kubernetes: see server/settings.py
        return 8000
    if not given.isdecimal():
        raise OptionError(f"SRNET_PORT is {given!r}: set it to the number of a port, or --port")
    return int(given)
