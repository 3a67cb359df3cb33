"""Every setting of the service: one typed object, read from ``SRNET_*`` when it is built."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MEGA = 1_000_000
# By unit; beyond these, dates, timers and whole numbers of 64 bits overflow. 1e9 s are 30 years.
_MOST = {"s": 1e9, "MB": 1e9, "MP": 1e6}
# Ours that are no settings, and what Kubernetes sets beside a Service that is named srnet.
_OTHERS = re.compile(r"SRNET_(DEBUG|CONTAINER|SERVICE_(HOST|PORT.*)|PORT_.*)")

_KEY = re.compile("[!-~]([ -~]*[!-~])?")
_HOST = re.compile(r"\[[0-9a-f:.]+\]|[^\s:/\[\]*@?#]+", re.IGNORECASE)
_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[^\s/*@?#]+/?", re.IGNORECASE)
_USUAL_PORT = re.compile(r"(?<=^https)(://.*):443$|(?<=^http)(://.*):80$")  # browsers leave it out


def plain_origin(origin: str) -> str:
    """A web origin as browsers send it: in small letters, without the usual port of its scheme."""
    return _USUAL_PORT.sub(r"\1\2", origin.rstrip("/").lower())


def _default_data_dir() -> Path:
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "srnet"


def _setting(default: Any, unit: str, meaning: str, **limits: Any) -> Any:
    return Field(default, description=meaning, json_schema_extra={"unit": unit}, **limits)


def _amount(default: float, unit: str, meaning: str, **limits: Any) -> Any:
    limits = limits or {"gt": 0}
    return _setting(default, unit, meaning, le=_MOST[unit], allow_inf_nan=False, **limits)


class Settings(BaseSettings):
    """All settings; each is the environment variable ``SRNET_`` + its name in capitals.

    Lists are written with commas. Raises pydantic's ``ValidationError`` for values that
    cannot work.
    """

    model_config = SettingsConfigDict(
        env_prefix="SRNET_",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,  # it may be a key
    )

    host: str = _setting("127.0.0.1", "", "address to listen on; 0.0.0.0 is every one")
    port: int = _setting(8000, "", "port to listen on; 0 takes a free one", ge=0, le=65535)
    data_dir: Path = Field(
        default_factory=_default_data_dir,
        description="folder for jobs, their results and large uploads; one server per folder",
        json_schema_extra={"unit": ""},
    )

    models: Annotated[tuple[str, ...], NoDecode] = _setting(
        (), "", "models to serve, the first is the default; empty serves all that are shipped"
    )
    device: str = _setting("auto", "", "auto, cpu, cuda or mps")
    precision: Literal["auto", "float32", "bfloat16", "int8"] = _setting(
        "auto", "", "auto, float32, bfloat16, or int8 with OpenVINO"
    )
    engine: Literal["auto", "torch", "openvino"] = _setting("auto", "", "auto, torch or openvino")
    tile: int = _setting(
        256, "px", "side of a tile: smaller is fairer, larger is faster", ge=32, le=10_000
    )

    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = _setting(
        (), "", "keys that callers must send; empty asks for none"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = _setting(
        (), "", "web origins that may call from a browser; empty allows none"
    )

    hosts: Annotated[tuple[str, ...], NoDecode] = _setting(
        (), "", "names in the Host header that are served, without port (421); empty serves any"
    )

    running: int = _setting(2, "requests", "pictures worked on at once", ge=1, le=64)
    waiting: int = _setting(16, "requests", "pictures waiting; more are refused (429)", ge=0)
    jobs_running: int = _setting(1, "jobs", "jobs worked on at once", ge=1, le=64)
    jobs_waiting: int = _setting(64, "jobs", "jobs waiting; more are refused (429)", ge=1)
    uploads: int = _setting(64, "uploads", "uploads received at once; more get 503", ge=1)
    streams: int = _setting(
        64,
        "streams",
        "jobs followed at once by events, at most half of the connections; more get 503",
        ge=1,
        le=1000,
    )
    connections: int = _setting(
        400,
        "connections",
        "idle ones make way for more; what is over gets 503, but for health; fewer where the "
        "process may open few files",
        ge=1,
        le=10_000,
    )

    max_upload_mb: float = _amount(64, "MB", "largest upload (413)")
    max_megapixels: float = _amount(256, "MP", "largest result, all frames (422)")
    max_residual_megapixels: float = _amount(
        32, "MP", "largest result of /v1/residual, which needs 40 bytes a pixel (422)"
    )
    upload_seconds: float = _amount(60, "s", "time for an upload to arrive (408)")
    stall_seconds: float = _amount(
        30, "s", "a download that stands still is cut off; so is who connects and asks for nothing"
    )
    time_limit: float = _amount(300, "s", "a request waits and works no longer (504)")
    job_time_limit: float = _amount(3600, "s", "a job works no longer")
    grace_seconds: float = _amount(
        8, "s", "from SIGTERM to the end: then what still runs is put back or given up"
    )
    drain_seconds: float = _amount(
        1, "s", "of these, /readyz says 503 while connections are still accepted", ge=0
    )

    keep_seconds: float = _amount(3600, "s", "results of jobs are kept so long")
    store_mb: float = _amount(
        4000, "MB", "jobs use no more disk: the oldest results go first, then 503"
    )

    @field_validator("models", "api_keys", "cors_origins", "hosts", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = tuple(part.strip() for part in value.split(",") if part.strip())
        if value and not parts:  # of "$ONE,$TWO" that nobody set: it must not open the service
            raise ValueError("has nothing between its commas: list something, or leave it out")
        return parts

    @field_validator("api_keys")
    @classmethod
    def _can_be_sent(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for place, key in enumerate(value, 1):
            if not _KEY.fullmatch(key.get_secret_value()):
                raise ValueError(
                    "has keys of ASCII letters, digits, signs and spaces, since clients send "
                    f"others each in its own way: choose another as number {place}"
                )
        return value

    @field_validator("hosts")
    @classmethod
    def _are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if not _HOST.fullmatch(name):
                raise ValueError(
                    "has whole names or addresses, without port and with brackets about those of "
                    f"IPv6 ([::1]), not {name}"
                )
        return tuple(name.lower() for name in value)

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"has origins such as https://pictures.example, not {origin}")
        return tuple(plain_origin(origin) for origin in value)

    @field_validator("host")
    @classmethod
    def _is_told(cls, value: str) -> str:
        if not value:  # of "$HOST" that nobody set: to a socket it would be every address
            raise ValueError("is an address to listen on, such as 127.0.0.1")
        return value

    @field_validator("port", mode="before")
    @classmethod
    def _not_a_link(cls, value: Any) -> Any:
        # Kubernetes sets SRNET_PORT=tcp://ADDRESS:PORT beside a Service that is named srnet.
        return 8000 if str(value).startswith("tcp://") else value

    @property
    def max_upload(self) -> int:
        """Bytes."""
        return int(self.max_upload_mb * MEGA)

    @property
    def store_bytes(self) -> int:
        """Bytes."""
        return int(self.store_mb * MEGA)

    def described(self) -> Iterator[tuple[str, str, str, str]]:
        """Variable, value, unit and meaning of each setting; secrets are hidden."""
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if isinstance(value, tuple):
                value = ",".join(str(item) for item in value)
            extra = field.json_schema_extra
            unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
            yield f"SRNET_{name.upper()}", str(value), unit, field.description or ""


def misspelt(environment: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each variable that looks like a setting, but is none."""
    known = [name.upper() for name in Settings.model_fields]
    for name in environment:
        word = name.removeprefix("SRNET_")
        if word != name and word not in known and not _OTHERS.fullmatch(name):
            near = get_close_matches(word, known, 1)
            cure = f"did you mean SRNET_{near[0]}?" if near else "see srnet serve --print-settings"
            yield f"{name} is no setting and is ignored: {cure}"
