"""The command line. One file per command; what is heavy is imported inside the commands."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from srnet import __version__
from srnet.cli import calibrate, compare, data, evaluate, export, info, serve, study, train, upscale
from srnet.cli.access import as_owner, by_me
from srnet.cli.console import FAILED, INTERRUPTED, UNUSABLE, say, tell
from srnet.errors import (
    Cancelled,
    DataError,
    OptionError,
    SetupError,
    SRNetError,
    WeightsError,
)

# What could not work with any picture: nothing was started.
_UNUSABLE = (OptionError, SetupError, WeightsError, DataError)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("upscale")(upscale.upscale)
app.command("info")(info.info)
app.command("compare")(compare.compare)
app.command("eval")(evaluate.evaluate)
app.command("train")(train.train)
app.command("calibrate")(calibrate.calibrate)
app.command("data")(data.data)
app.command("export")(export.export)
app.add_typer(study.app, name="study")
app.command("serve")(serve.serve)
app.command("health")(serve.health)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code; None takes the arguments of the process.

    0 is success; 1 something failed, or a result is there already; 2 nothing was started, as
    the usage is wrong or what was asked for cannot work here; 3 nothing to do; 130 interrupted.
    Errors are one line on standard error; with ``SRNET_DEBUG=1`` in the environment they are
    raised.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files may be any bytes
    given = None if arguments is None else list(arguments)
    if given is None:  # a process of its own: `docker stop` and `kill` are felt as Ctrl-C is
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        # OpenVINO does without its converter where there is none: half of the time of its
        # import, and what would report over the network is not even loaded
        sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]
    code = _run(given)
    if given is None and code == INTERRUPTED:  # all is said: one more must not change the code
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    return code


def _run(given: Sequence[str] | None) -> int:
    debug = os.environ.get("SRNET_DEBUG") == "1"
    if debug:
        logging.basicConfig()
        logging.getLogger("srnet").setLevel(logging.DEBUG)  # traces of pictures that failed
    try:
        return app(given, prog_name="srnet", standalone_mode=False) or 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, typer.Abort):  # typer makes it of Ctrl-C, and of a file cut off
            if not isinstance(error.__cause__, EOFError):
                return INTERRUPTED
            error = error.__cause__
        if debug:
            raise
        code, message = _explained(error, sys.argv[1:] if given is None else given)
        if message:
            say(f"srnet: error: {message}")
        return code


def _explained(error: Exception, given: Sequence[str]) -> tuple[int, str]:
    """The exit code for an error, and what to tell the user."""
    if hasattr(error, "format_message"):  # typer's own usage errors, whose class has moved
        files = [word for word in given if word.startswith("-") and os.path.lexists(word)]
        hint = f" (if the file is meant: ./{files[0]})" if files else ""
        return UNUSABLE, _wrong_usage(error, given) + hint
    if isinstance(error, _UNUSABLE):
        return UNUSABLE, str(error)
    if isinstance(error, SRNetError):
        return INTERRUPTED if isinstance(error, Cancelled) else FAILED, str(error)
    if isinstance(error, PermissionError) and isinstance(error.filename, str):
        hint = by_me() + as_owner(Path(error.filename))
        return FAILED, f"{error.filename} may not be used{hint}"
    return FAILED, (
        f"unexpected {type(error).__name__}: {error} (this is a bug in srnet: "
        "SRNET_DEBUG=1 shows where)"
    )


def _wrong_usage(error: Any, given: Sequence[str]) -> str:
    """What typer refuses, with the help of the option: its own words are for programmers."""
    option = getattr(error, "param", None)
    if option is None:
        return str(error.format_message())
    name = "" if option.param_type_name == "argument" else f"{option.opts[-1]} "
    if not error.message:
        return f"missing {name}{option.metavar}: {option.help}"
    closed = _unreadable(given) if "not readable" in error.message else None
    if closed is not None:
        return (
            f"{closed} may not be read{by_me()}{as_owner(Path(closed))}: change its permissions, "
            f"or give another {name}{option.metavar}"
        )
    value = _value_of(option.opts, given)
    return f"wrong value for {name}{option.metavar}: {option.help}" + (
        "" if value is None else f" Not {value!r}."
    )


def _unreadable(given: Sequence[str]) -> str | None:
    """The first file or folder among some words that may not be read; typer has it as text only."""
    for word in (part for each in given for part in (each, each.partition("=")[2])):
        if os.path.lexists(word) and not os.access(word, os.R_OK):
            return word
    return None


def _value_of(names: Sequence[str], given: Sequence[str]) -> str | None:
    """What an option was last given, as far as that can be told without its parser."""
    found = None
    for word, following in zip(given, [*given[1:], None], strict=True):
        name, equals, value = word.partition("=")
        if name in names:
            found = value if equals else following
    return found


def _print_version(wanted: bool) -> None:
    if wanted:
        tell(f"srnet {__version__}")
        raise typer.Exit


@app.callback()
def _srnet(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            metavar="",
            help="Print the version.",
        ),
    ] = False,
) -> None:
    """Enlarge pictures faithfully: bicubic plus what a network learned that it lacks."""
