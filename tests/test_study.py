"""The study: a whole quick one, resumable; its charts; and that the page says what was measured."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import PIL.Image
import pytest
import torch

from srnet import weights
from srnet.card import NetConfig
from srnet.errors import DataError
from srnet.model import SRNet, parameter_count
from srnet.study import learned, precision
from srnet.study.chart import Axis, Line, chart
from srnet.study.depth import Bare
from srnet.study.dimensions import KINDS, Encoder
from srnet.study.figures import crossing
from srnet.study.judge import Judge
from srnet.study.learned import Parts, measure
from srnet.study.ledger import Ledger
from srnet.study.precision import quantized, rounded
from srnet.study.residual import _bench, study
from srnet.study.tables import tables
from srnet.study.trial import QUICK, Bench

PAGE = Path(__file__).parent.parent / "docs" / "residual.md"


@pytest.fixture
def folders(tmp_path: Path, rng: np.random.Generator) -> tuple[Path, Path]:
    for name in ("photographs", "held-out"):
        (tmp_path / name).mkdir()
        for number in range(2):
            small = PIL.Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8))
            small.resize((100, 100), 3).save(tmp_path / name / f"{number}_{name}.png")
    return tmp_path / "photographs", tmp_path / "held-out"


@pytest.mark.skipif(not weights.shipped(), reason="no weights in this checkout")
def test_a_quick_study_writes_everything_and_goes_on(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    out, told = tmp_path / "out", list[str]()
    shown = [folders[1] / "0_held-out.png"]

    def run() -> dict[str, str]:
        return study(
            *folders, out, shown=shown, work=tmp_path / "work", quick=True, report=told.append
        )

    first = run()
    rows = json.loads((out / "residual.json").read_text())["rows"]
    assert len(told) == len(rows) > 40
    assert {row["seed"] for row in rows if row["question"] == "base"} == {0, 1}
    assert first == tables(rows)
    for svg in out.glob("*.svg"):
        ElementTree.parse(svg)
    assert len([*out.glob("*.svg")]) == 9
    with PIL.Image.open(out / "learned.jpg") as picture:
        assert picture.size[0] == 5 * 96 + 4 * 6
    told.clear()
    assert run() == first
    assert told == []  # nothing was computed again


@pytest.mark.skipif(not weights.shipped(), reason="no weights in this checkout")
def test_a_row_is_of_the_pictures_it_was_measured_on(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = itertools.count()
    for place, name in ((Bench, "_run"), (precision, "errors"), (learned, "_measured")):
        monkeypatch.setattr(place, name, lambda *_: {"number": next(count)})
    shown = folders[1] / "0_held-out.png"

    def numbers() -> list[int]:
        """Of a trained row, of one of shipped weights, of one of a photograph."""
        bench = _bench(QUICK, *folders, Ledger(tmp_path / "rows.jsonl"))
        rows = [*bench.train("base", "none", bench.net())[:1], *precision.rows(bench)]
        return [row["number"] for row in [*rows, *learned.rows(bench, [shown])]]

    before = numbers()
    assert numbers() == before
    changes = {"photographs/1_photographs.png": 1, "held-out/1_held-out.png": 2}
    for name, expected in {**changes, "held-out/0_held-out.png": 3}.items():
        with PIL.Image.open(tmp_path / name) as picture:
            turned = picture.transpose(PIL.Image.Transpose.ROTATE_180)
        turned.save(tmp_path / name)  # another picture of the same name
        after = numbers()
        assert [a != b for a, b in zip(after, before, strict=True)].count(True) == expected
        before = after


@pytest.mark.skipif(not weights.shipped(), reason="no weights in this checkout")
@pytest.mark.parametrize(
    ("size", "reason"),
    [(90, "90 x 90 pixels, and at least 96"), (100, "is flat in its middle")],
)
def test_what_cannot_be_shown_is_refused_before_training(
    folders: tuple[Path, Path], tmp_path: Path, size: int, reason: str
) -> None:
    poor, work = tmp_path / "poor.png", tmp_path / "work"
    PIL.Image.new("RGB", (size, size), "tan").save(poor)
    with pytest.raises(DataError, match=rf"poor\.png.* {reason}"):
        study(*folders, tmp_path / "out", shown=[poor], work=work, quick=True)
    assert not work.exists()


def test_two_photographs_of_one_name_are_both_told_of() -> None:
    rows = json.loads((PAGE.parent / "residual" / "residual.json").read_text())["rows"]
    first = next(row for row in rows if row["question"] == "learned")
    assert "| 77.7 |" in tables([*rows, {**first, "rms_residual": 77.7}])["learned"]


def test_a_row_cut_off_is_made_again_and_a_damaged_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    for seed in (0, 1):
        Ledger(path).row({"seed": seed}, lambda: {"psnr": 1.5})
    path.write_text(path.read_text()[:-9])
    ledger = Ledger(path)
    ledger.row({"seed": 0}, lambda: pytest.fail("known"))
    assert ledger.row({"seed": 1}, lambda: {"psnr": 2.5}) == {"seed": 1, "psnr": 2.5}
    assert Ledger(path).row({"seed": 1}, lambda: pytest.fail("known"))["psnr"] == 2.5
    path.write_text("nonsense\n" + path.read_text())
    with pytest.raises(DataError, match="line 1"):
        Ledger(path)


def test_a_file_that_holds_no_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"key": "\xff"}\n')
    with pytest.raises(DataError, match=r"rows\.jsonl cannot be read .*0xff.*: move it away"):
        Ledger(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=r"rows\.jsonl cannot be read .*directory\): move it away"):
        Ledger(path)


def test_pictures_too_small_are_refused(folders: tuple[Path, Path]) -> None:
    with pytest.raises(DataError, match="120 pixels"):
        Judge(folders[1], 120)


def test_flat_pictures_are_refused(folders: tuple[Path, Path]) -> None:
    """Their PSNR is infinite, and so would every mean be."""
    PIL.Image.new("RGB", (100, 100), "tan").save(folders[1] / "2_flat.png")
    with pytest.raises(DataError, match=r"2_flat\.png is flat in its middle"):
        Judge(folders[1], 64)


def test_untrained_the_judge_sees_the_base(folders: tuple[Path, Path]) -> None:
    judge = Judge(folders[1], 64)
    net = SRNet(NetConfig(scale=2, features=4, blocks=1))
    torch.testing.assert_close(judge.run(net), net.base(judge.low))
    assert judge.psnr(judge.high) == float("inf")


def test_bare_has_no_way_around_the_body() -> None:
    config = NetConfig(scale=2, features=4, blocks=1, shortcut="none")
    for kind, passes in ((SRNet, True), (Bare, False)):
        torch.manual_seed(0)
        net = kind(config)
        torch.nn.init.normal_(net.tail.weight)
        for p in net.fuse.parameters():
            torch.nn.init.zeros_(p)  # the body says nothing
        added = net.residual(torch.rand(1, 3, 8, 8))
        assert bool(added.abs().max() > 0) is passes


def test_the_encoder_halves_twice_and_costs_as_said() -> None:
    config = NetConfig(scale=2, features=4, blocks=4)
    nets = {kind: Encoder(config, kind) for kind in KINDS}
    x = torch.rand(1, 3, 16, 24)
    for net in nets.values():
        assert net.body(net.head(x)).shape == (1, 16, 4, 6)
        torch.testing.assert_close(net(x), net.base(x))
    count = {kind: parameter_count(net) for kind, net in nets.items()}
    assert count["zero-pad"] == count["none"]
    assert count["projection"] - count["none"] == (4 * 8 + 8) + (8 * 16 + 16)


def test_int8_has_255_levels_and_leaves_the_base_alone() -> None:
    x = torch.linspace(-1, 1, 5001)
    assert len(rounded(x, torch.tensor(1 / 127)).unique()) == 255
    assert rounded(torch.zeros(3), torch.tensor(0.0)).tolist() == [0, 0, 0]
    net = SRNet(NetConfig(scale=2, features=8, blocks=2))
    picture = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(quantized(net)(picture), net(picture), rtol=0, atol=0)
    torch.nn.init.normal_(net.tail.weight, std=0.1)
    difference = (quantized(net)(picture) - net(picture)).abs().max()
    assert 0 < difference < 0.1


def test_a_residual_that_is_half_of_what_is_missing(rng: np.random.Generator) -> None:
    high = rng.integers(60, 190, (32, 32, 3), np.uint8)
    missing = rng.normal(0, 8, high.shape)
    parts = Parts(high, high[::2, ::2], high - missing, missing / 2, high)
    row = measure(parts)
    assert row["share_of_error_removed"] == pytest.approx(0.75, abs=1e-3)
    assert row["best_strength"] == pytest.approx(2, abs=1e-3)
    assert sum(row["histogram"]) == pytest.approx(1, abs=1e-4)
    psnr = row["psnr_by_strength"]
    assert psnr["0.0"] < psnr["0.5"] < psnr["1.0"] < psnr["1.5"]


def test_a_chart_puts_points_where_they_belong() -> None:
    line = Line("a < b", [(1, 10, 9, 11), (10, 20, 20, 20), (100, 30, 30, 30)])
    svg = chart("t", Axis("x", log=True), Axis("y", low=0, high=40), [line])
    root = ElementTree.fromstring(svg)
    dots = root.findall(".//{*}circle")
    xs, ys = ([float(dot.attrib[k]) for dot in dots] for k in ("cx", "cy"))
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.11)
    assert ys[0] - ys[1] == pytest.approx(ys[1] - ys[2], abs=0.11)
    assert "a < b" in "".join(root.itertext())


def test_where_one_curve_passes_another() -> None:
    def exact(*ys: float) -> list[tuple[float, float, float, float]]:
        return [(float(x), y, y, y) for x, y in enumerate(ys)]

    assert crossing(exact(1, 1, 1), exact(0, 0.5, 2)) == pytest.approx(4 / 3, abs=0.01)
    assert crossing(exact(1, 1, 1), exact(0, 2, 0)) is None
    assert crossing(exact(1, 1, 1), exact(2, 2, 2)) == 0


def test_the_page_says_what_was_measured() -> None:
    rows = json.loads((PAGE.parent / "residual" / "residual.json").read_text())["rows"]
    text = PAGE.read_text("utf-8")
    for name, table in tables(rows).items():
        assert table in text, f"the table {name!r} is not the one of residual.json"
