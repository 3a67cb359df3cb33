"""Weights files: safetensors with the card in the header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from srnet.card import Card, NetConfig
from srnet.errors import OptionError, WeightsError
from srnet.files import write_atomic

if TYPE_CHECKING:
    from torch import Tensor

    from srnet.model import SRNet
    from srnet.quantise import Ranges

DEFAULT_FAMILY = "photo"  # most pictures that people have are JPEGs
_KEY = "srnet.card"
_MAX_HEADER = 1 << 20  # bytes; ours are about 10 kB
_RANGES = "int8."  # before the name of a convolution: what it is given, see srnet.quantise


def folder() -> Path:
    """The folder with the weights that come with srnet."""
    package = Path(__file__).parent
    installed = package / "shipped"
    return installed if installed.is_dir() else package.parent / "weights"


def shipped() -> dict[str, Path]:
    """The weights that come with srnet: name to file, sorted by name."""
    return {path.stem: path for path in sorted(folder().glob("*.safetensors"))}


def find(name: str) -> list[Path]:
    """The files of a family (``photo``), of one name (``photo-x2``), or at a path.

    Raises:
        OptionError: nothing has that name; the message lists what there is.
    """
    path = Path(name)
    if path.suffix == ".safetensors":
        if path.is_file():
            return [path]
        raise OptionError(f"there is no weights file {name}")
    known = shipped()
    files = (
        [known[name]]
        if name in known
        else [file for stem, file in known.items() if stem.rsplit("-x", 1)[0] == name]
    )
    if not known:
        raise OptionError(f"no weights came with this copy of srnet: {folder()} holds none")
    family = name.rsplit("-x", 1)[0]
    if not files and family != name and family in families():
        members = " and ".join(stem for stem in known if stem.rsplit("-x", 1)[0] == family)
        raise OptionError(
            f"there is no model {name!r}, only {members}: take {family!r}, of which any scale from "
            "1 to 16 can be asked"
        )
    if not files and path.is_file():
        raise OptionError(f"{name} is no weights file of srnet, which end in .safetensors")
    if not files:
        raise OptionError(
            f"there is no model {name!r}: choose one of {', '.join(families())}, "
            f"or one of {', '.join(known)}, or give the path of a .safetensors file"
        )
    return files


def find_one(name: str) -> Path:
    """The one file of that name, or at that path.

    Raises:
        OptionError: nothing has that name, or weights of several scales have it.
    """
    files = find(name)
    if len(files) != 1:
        raise OptionError(f"{name} comes in several scales: name one of them, such as {name}-x2")
    return files[0]


def families() -> list[str]:
    """Names without scale of the weights that come with srnet, sorted."""
    return sorted({stem.rsplit("-x", 1)[0] for stem in shipped()})


def read_card(path: Path) -> Card:
    """Read the card of a weights file, without torch and without its tensors.

    Raises:
        OptionError: there is no such file.
        WeightsError: not a weights file of srnet.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 0 < length <= _MAX_HEADER:
                raise WeightsError(f"{path} is not a safetensors file")
            metadata = json.loads(file.read(length)).get("__metadata__")
    except FileNotFoundError as error:
        raise OptionError(f"there is no weights file {path}") from error
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path} cannot be read as a safetensors file: {error}") from error
    if not isinstance(metadata, dict) or _KEY not in metadata:
        raise WeightsError(f"{path} holds no card: it was not written by `srnet train`")
    return Card.from_json(metadata[_KEY])


def finite(tensors: Mapping[str, Tensor]) -> bool:
    """Whether all are numbers, none of them infinite."""
    return all(bool(t.isfinite().all()) for t in tensors.values())


def rounded(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors in numbers that bfloat16 holds exactly.

    It costs 0.001 dB, and what computes in bfloat16 then differs from float32 by its sums alone:
    without, the rounding of kernels was most of the largest differences.
    """
    return {name: t.bfloat16().float() for name, t in tensors.items()}


def blend(path: Path, other: Path, share: float, output: Path) -> None:
    """Write the weights of a file, moved a share of the way (0 to 1) to those of another.

    For weights that were tuned from the other ones: a little of these back gives more on
    pictures unlike those of the tuning (Wortsman et al., Robust fine-tuning of zero-shot models,
    2022). The ranges for int8 do not stay; the card says what was done.

    Raises:
        WeightsError: not weights files, or of other networks.
    """
    (net, card), (origin, known) = load(path), load(other)
    if card.net != replace(known.net, consistent=card.net.consistent):
        raise WeightsError(f"{path} and {other} are not of the same network")
    tensors, others = net.state_dict(), origin.state_dict()
    net.load_state_dict(rounded({k: t.lerp(others[k], share) for k, t in tensors.items()}))
    ways = f"{card.training.started_from}, then {share:.0%} of {known.name} version {known.version}"
    training = replace(card.training, started_from=ways.removeprefix(", "))
    save(output, net, replace(card, training=training, metrics={}, calibrated=0))


def save(path: Path, net: SRNet, card: Card, ranges: Ranges | None = None) -> None:
    """Write weights, card, and the ranges for eight bits if they were measured.

    Tensors are float32, or bfloat16 where that is the same. The file appears whole or not at all,
    and its folder is made.

    Raises:
        OutputError: it cannot be written.
    """
    import torch
    from safetensors.torch import save as to_bytes

    tensors = {k: _stored(v.detach().float().cpu()) for k, v in net.state_dict().items()}
    tensors |= {_RANGES + name: torch.from_numpy(found) for name, found in (ranges or {}).items()}
    write_atomic(path, to_bytes(tensors, {_KEY: card.to_json()}), parents=True)


def _stored(tensor: Tensor) -> Tensor:
    short = tensor.bfloat16()
    return (short if short.float().equal(tensor) else tensor).contiguous()


def load(path: Path) -> tuple[SRNet, Card]:
    """Build the network of a file and fill in every tensor, strictly.

    Raises:
        WeightsError: missing, unexpected or misshapen tensors, no numbers, or no card.
    """
    from srnet.model import SRNet

    card = read_card(path)
    tensors = {name: t for name, t in _tensors(path).items() if not name.startswith(_RANGES)}
    if not finite(tensors):
        raise WeightsError(f"{path} holds weights that are no numbers: its training went wrong")
    _check_fit(path, card.net, tensors)
    net = SRNet(card.net)
    net.load_state_dict(tensors)
    return net.eval(), card


def _check_fit(path: Path, config: NetConfig, tensors: Mapping[str, Tensor]) -> None:
    """Before the network takes memory: a card may ask for any, whatever is in the file."""
    import torch

    from srnet.model import SRNet

    if config.blocks > len(tensors):
        raise WeightsError(
            f"{path} does not fit its card: {len(tensors)} tensors are too few for "
            f"{config.blocks} blocks"
        )
    try:
        with torch.device("meta"):  # shapes alone
            SRNet(config).load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise WeightsError(f"{path} does not fit its card: {error}") from error


def load_ranges(path: Path) -> Ranges:
    """What the convolutions were given when the weights were calibrated; empty if never.

    Raises:
        WeightsError: they are no numbers, or cannot be read.
    """
    found = {name: t for name, t in _tensors(path).items() if name.startswith(_RANGES)}
    if not finite(found):
        raise WeightsError(f"{path} holds ranges for int8 that are no numbers: calibrate again")
    return {name.removeprefix(_RANGES): t.numpy() for name, t in found.items()}


def _tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, in float32: what is finite there is finite in the network."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} cannot be read as a safetensors file: {error}") from error
    known = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
    for name, tensor in tensors.items():
        if tensor.dtype not in known:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise WeightsError(f"{path} holds {name} as {kind}: convert it to float32")
    return {name: tensor.float() for name, tensor in tensors.items()}


def warm_start(net: SRNet, path: Path) -> Card:
    """Copy what fits from another file: all but the tail when the scales differ.

    Returns the card of that file.

    Raises:
        WeightsError: the bodies differ.
    """
    source, card = load(path)
    config = net.config
    if replace(card.net, scale=config.scale, consistent=config.consistent) != config:
        raise WeightsError(
            f"{path} does not fit the network to train: it has {_body(card.net, net.config)}, "
            f"which is to have {_body(net.config, card.net)}; leave out --size, --features and "
            "--blocks, or start from other weights"
        )
    tensors = source.state_dict()
    if card.scale != net.config.scale:
        tensors = {name: t for name, t in tensors.items() if not name.startswith("tail.")}
    net.load_state_dict({**net.state_dict(), **tensors})
    return card


def _body(net: NetConfig, other: NetConfig) -> str:
    """In words, what ``net`` has apart from its scale that ``other`` has not."""
    names = [f.name for f in fields(net) if f.name not in ("scale", "consistent")]
    return " and ".join(
        f"{getattr(net, name)} {name}"
        for name in names
        if getattr(net, name) != getattr(other, name)
    )


def record(path: Path, metrics: Mapping[str, float], licence: str | None = None) -> None:
    """Add measured figures to the card of a weights file, or a licence; the tensors stay."""
    net, card = load(path)
    known = {**card.metrics, **metrics}
    licence = card.licence if licence is None else licence
    save(path, net, replace(card, metrics=known, licence=licence), load_ranges(path))
