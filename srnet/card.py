"""The card of a weights file: what the network is, where it came from, how good it is.

A card is stored as JSON in the safetensors header, so it can be read without torch
(:func:`srnet.weights.read_card`). All classes are frozen; :meth:`Card.to_json` and
:meth:`Card.from_json` are exact inverses.
"""

from __future__ import annotations

import dataclasses
import json
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from srnet.errors import WeightsError

Activation = Literal["leaky_relu", "relu", "silu", "prelu"]
Base = Literal["bicubic", "nearest", "none"]
Shortcut = Literal["identity", "none"]
Degradation = Literal["clean", "photo"]

FORMAT = 2  # 1: the head read pixels less 1/2, see srnet.model.centred
HALO_OF_BASE = {"bicubic": 2, "nearest": 0, "none": 0}  # low-resolution pixels
NAME = "letters from A to Z, digits, -, _ and ., with a letter or a digit first"  # of a family
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*-x([2-4])")
_MOST = 2**63  # no whole number of a card comes near it


@dataclass(frozen=True)
class NetConfig:
    """The numbers that define one :class:`srnet.model.SRNet`.

    ``base`` and ``shortcut`` other than the defaults exist for ablations: they take away
    the global connection from bicubic, or the identity inside each block. ``consistent``: what
    the result lacks to shrink to its input is added (:mod:`srnet.backprojection`).
    """

    scale: int  # output pixels per input pixel, each way: 2, 3 or 4
    features: int  # channels of the body
    blocks: int  # residual blocks, two 3x3 convolutions each
    activation: Activation = "leaky_relu"  # plain ReLU died in whole blocks under Muon
    base: Base = "bicubic"
    shortcut: Shortcut = "identity"
    consistent: bool = False

    def __post_init__(self) -> None:
        _check(self.scale in (2, 3, 4), f"scale must be 2, 3 or 4, not {self.scale}")
        _check(self.features >= 1, f"features must be at least 1, not {self.features}")
        _check(self.blocks >= 0, f"blocks must not be negative, not {self.blocks}")
        for name, allowed in (("activation", Activation), ("base", Base), ("shortcut", Shortcut)):
            value = getattr(self, name)
            _check(value in get_args(allowed), f"unknown {name} {value!r}: {get_args(allowed)}")
        _check(
            self.base == "bicubic" or not self.consistent,
            "only a network on a bicubic base can be consistent",
        )

    @property
    def halo(self) -> int:
        """How far an output pixel looks, in input pixels each way.

        One pixel for each 3x3 convolution on the longest path: head, two per block, the
        end of the body, the tail. Where it is consistent, two for shrinking, two for enlarging.
        """
        return max(2 * self.blocks + 3, HALO_OF_BASE[self.base]) + 4 * self.consistent


@dataclass(frozen=True)
class Training:
    """How the weights were made."""

    iterations: int = 0  # optimiser steps, those of the starting weights included
    hours: float = 0.0  # wall time of all those steps
    hardware: str = ""
    commit: str = ""  # of this repository, when the run was saved
    seed: int = 0
    settings: dict[str, Any] = field(default_factory=dict)  # the TrainConfig of the last run
    started_from: str = ""  # name and version of the weights that it continued, if any


@dataclass(frozen=True)
class Data:
    """What the weights were trained on."""

    pictures: int = 0
    megapixels: float = 0.0
    manifest: str = ""  # file under weights/ that lists each picture with its licence
    manifest_sha256: str = ""
    licences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Card:
    """Everything known of one weights file."""

    name: str  # <family>-x<scale>
    net: NetConfig
    halo: int  # low-resolution pixels; checked against the measured reach by a test
    version: int = 1  # weights are immutable: other weights, other version
    degradation: Degradation = "clean"
    licence: str = ""  # of the weights; empty where whoever trained them did not say
    training: Training = field(default_factory=Training)
    data: Data = field(default_factory=Data)
    metrics: dict[str, float] = field(default_factory=dict)  # dB on Y unless the key says else
    calibrated: int = 0  # pictures that the ranges for int8 were measured on; 0: none are there
    turned: int = 0  # steps in which the basis of the blocks was found, see srnet.basis
    format: int = FORMAT  # how tensors are to be read

    def __post_init__(self) -> None:
        _check(
            named(self.name, self.scale),
            f"weights at x{self.scale} cannot be called {reprlib.repr(self.name)}: "
            f"call them <family>-x{self.scale}, in {NAME}",
        )
        _check(  # with a smaller one, the seams of tiles show
            self.halo >= self.net.halo,
            f"the halo of {self.name} must be at least {self.net.halo}, not {self.halo}: "
            "get the weights file anew",
        )

    @property
    def scale(self) -> int:
        """Output pixels per input pixel, each way."""
        return self.net.scale

    @property
    def family(self) -> str:
        """The name without its scale: ``photo`` of ``photo-x2``."""
        return self.name.rsplit("-x", 1)[0]

    def to_json(self) -> str:
        """The card as one line of JSON with sorted keys."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Read what :meth:`to_json` wrote.

        Raises:
            WeightsError: unknown or missing fields, or values that make no network.
        """
        try:
            fields = json.loads(text)
            written = fields.get("format", 1)
            _check(
                written == FORMAT,
                f"the weights are of format {written}, and this srnet reads format {FORMAT}: "
                "take the srnet that wrote them, or train them again",
            )
            fields["net"] = _build(NetConfig, fields["net"])
            fields["training"] = _build(Training, fields["training"])
            fields["data"]["licences"] = tuple(fields["data"]["licences"])
            fields["data"] = _build(Data, fields["data"])
            return _build(cls, fields)
        except (TypeError, KeyError, AttributeError, ValueError, RecursionError) as error:
            raise WeightsError(
                f"the card of the weights cannot be read ({error}); "
                "the file may come from another version of srnet"
            ) from error


def named(name: str, scale: int) -> bool:
    """Whether it is ``<family>-x<scale>`` of plain letters: it becomes a part of names of files."""
    found = _NAME.fullmatch(name)
    return found is not None and int(found[1]) == scale


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The settings that differ, as ``lr 0.001 -> 0.002, features 48 -> 32``."""
    parts = []
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name, "unset"), new.get(name, "unset")
        if isinstance(before, dict) and isinstance(after, dict):
            parts.append(differences(before, after))
        elif before != after:
            parts.append(f"{name} {before} -> {after}")
    return ", ".join(filter(None, parts))


T = TypeVar("T")


def _build(cls: type[T], fields: dict[str, Any]) -> T:
    kinds = get_type_hints(cls)
    for name, value in fields.items():
        if name in kinds and not _fits(value, kinds[name]):
            raise TypeError(f"{name} cannot be {reprlib.repr(value)}")
    return cls(**fields)


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value read from JSON is of the kind that a field is declared as."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return value in inner
    if origin is dict:
        return isinstance(value, dict) and all(_fits(v, inner[1]) for v in value.values())
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(v, inner[0]) for v in value)
    if kind is Any:  # a setting of a training
        return value is None or isinstance(value, str | bool | int | float)
    whole = type(value) is int and abs(value) < _MOST  # which True is not
    return whole if kind is int else isinstance(value, kind) or (kind is float and whole)


def _check(ok: bool, message: str) -> None:
    if not ok:
        raise WeightsError(message)
