"""``weights/README.md``, written from the cards so that the two cannot differ."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from srnet.card import Card, NetConfig
from srnet.weights import read_card

_HEAD = """# Weights

Generated from the cards inside the files by `make weights-readme`; do not edit.

Every file was trained by `srnet train` on freely licensed photographs only; `manifest.csv`
lists each picture with its source, its licence and its hash. Nothing was trained on the
benchmarks below. PSNR (dB) and SSIM are on Y without a border of SCALE pixels, of the 8-bit
result, as `srnet eval` measures them.

The weights are licensed under CC BY-SA 4.0, because some of the photographs ask for
share-alike: use them for anything, commercial work included; say where they come from; if you
publish changed weights, do so under the same licence. Pictures that you make with them are
yours. Attribution of the photographs: `manifest.csv`, and with their authors `docs/data.md`.
"""

_METHOD = """## What they are not

They add the detail that a photograph of this kind usually has between the pixels that are
there. They do not recover text that cannot be read, and they invent no faces. `clean` expects
input that was only shrunk; `photo` also removes noise, blur and JPEG blocks; `fast` is a
small `clean`. The training set leans to landscapes: text, screenshots, line art and people
are few in it.
"""


def parameters(net: NetConfig) -> int:
    """Number of trained numbers of a network, without building it."""
    f, conv = net.features, 9
    body = net.blocks * 2 * (f * f * conv + f) + (f * f * conv + f)
    prelu = net.blocks if net.activation == "prelu" else 0
    outputs = 3 * net.scale**2
    return (3 * f * conv + f) + body + prelu + (f * outputs * conv + outputs)


def weights_readme(files: Iterable[Path]) -> str:
    """The text of ``weights/README.md`` for these weights files."""
    cards = {path: read_card(path) for path in files}
    parts = [_HEAD, _summary(cards), _METHOD]
    parts += [_section(card) for card in cards.values()]
    return "\n".join(parts)


def _summary(cards: dict[Path, Card]) -> str:
    rows = [
        "| name | features x blocks | parameters | halo | file | trained for |",
        "|---|---|---|---|---|---|",
    ]
    for path, card in cards.items():
        net = card.net
        rows.append(
            f"| {card.name} | {net.features} x {net.blocks} | {parameters(net):,} | {card.halo} px "
            f"| {path.stat().st_size / 1e6:.2f} MB | {card.degradation} pictures |"
        )
    return "\n".join(rows) + "\n"


def _section(card: Card) -> str:
    training, data = card.training, card.data
    start = f", continued from {training.started_from}" if training.started_from else ""
    made = (
        f"{training.iterations:,} iterations in all, {training.hours:.2f} hours on "
        f"{training.hardware}; seed {training.seed}; commit {training.commit or 'unknown'}{start}"
    )
    shown = (
        f"{data.pictures} pictures, {data.megapixels:g} megapixels, `{data.manifest}` "
        f"(sha256 {data.manifest_sha256[:16]}...)"
    )
    lines = [
        f"## {card.name}, version {card.version}",
        "",
        f"- Training: {made}",
        f"- Settings of the last run: {_listed(training.settings)}",
        f"- Data: {shown}",
        f"- Licences of the data: {'; '.join(data.licences)}",
        f"- Licence of the weights: {card.licence or 'not stated'}",
        f"- bfloat16: {_basis(card)}",
        f"- int8: {_eight_bits(card)}",
        "",
        "| measured on | value |",
        "|---|---|",
        *(f"| {name} | {value:g} |" for name, value in sorted(card.metrics.items())),
        "",
    ]
    return "\n".join(lines)


def _basis(card: Card) -> str:
    return f"basis found in {card.turned} steps" if card.turned else "basis as trained"


def _eight_bits(card: Card) -> str:
    if not card.calibrated:
        return "not calibrated"
    return f"ranges of {card.calibrated} pictures, photographs and drawn ones"


def _listed(settings: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())
