"""Where results go."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

import srnet.identity
from srnet.errors import OptionError
from srnet.image import Image, encode
from srnet.naming import Found, find, plan
from srnet.options import Options
from tests.batch.support import names, picture

PNG = Options(format="png")


def targets(inputs: Iterable[str], folder: Path, options: Options = PNG, **more) -> list[str]:
    found = [Found(folder / name) for name in inputs]
    return [job.target.name for job in plan(found, folder / "out", options, **more)]


def test_names_keep_stem_and_a_fitting_suffix(tmp_path):
    picture(tmp_path / "a.JPEG", kind="jpeg")
    picture(tmp_path / "b.jpg", kind="png")  # called wrongly
    (tmp_path / "c.bmp").write_bytes(b"BM")
    (tmp_path / "d").write_bytes(b"what is it")
    picture(tmp_path / "e.tif", kind="tiff")
    still, moving = Image(np.zeros((4, 4, 3), np.uint8)), np.full((4, 4, 3), 255, np.uint8)
    (tmp_path / "f.avif").write_bytes(encode([still], "avif"))
    (tmp_path / "g.webp").write_bytes(encode([still, Image(moving)], "webp"))
    made = targets(names(tmp_path), tmp_path, Options())
    assert made == ["a.JPEG", "b.png", "c.png", "d.png", "e.tif", "f.avif", "g.webp"]
    assert targets(["a.JPEG", "b.jpg"], tmp_path, PNG) == ["a.png", "b.png"]


def test_a_gif_becomes_png_or_webp_as_it_moves_or_not(tmp_path):
    from PIL import Image as Pil

    frames = [Pil.new("L", (4, 4), level) for level in (0, 255)]
    frames[0].save(tmp_path / "still.gif")
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert targets(["still.gif", "moving.gif"], tmp_path, Options()) == ["still.png", "moving.webp"]


def test_pattern(tmp_path):
    fields = {"scale": "2", "model": "photo"}
    pattern = "{stem}_{ext}_x{scale}_{model}{suffix}"
    assert targets(["a.jpg"], tmp_path, pattern=pattern, fields=fields) == ["a_jpg_x2_photo.png"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{stem}_{date}{suffix}", "{date}"),
        ("{stem:>9}{suffix}", "{stem}"),
        ("{stem!r}{suffix}", "{stem}"),
        ("{stem}{0}{suffix}", "placeholder {0}"),
        ("{stem", "--name"),
        ("{stem}.png", "end with"),
        ("../{stem}{suffix}", "folders"),
        ("{stem}_x{scale}{suffix}", "only known with --scale"),
    ],
)
def test_pattern_refusals(tmp_path, pattern, message):
    with pytest.raises(OptionError, match=re.escape(message)):
        targets(["a.jpg"], tmp_path, pattern=pattern, fields={"model": "photo"})


@pytest.mark.parametrize(
    ("inputs", "cure"),
    [
        (("a.jpg", "a.png"), "--name '{stem}-{ext}{suffix}'"),
        (("a.png", "A.png"), "rename one"),
        (("one/p.png", "two/P.png"), "the folder that holds both (..)"),
        (("é.png", "é.png"), "rename one"),
        (("one/p.jpg", "two/p.jpg"), "the folder that holds both (..)"),
        (("one/p.jpg", "one/deep/p.jpg"), "the folder that holds both (../one)"),
        (("one/p.jpg", "two/p.png"), "--name '{stem}-{ext}{suffix}'"),
    ],
)
def test_two_pictures_with_one_target_are_refused(tmp_path, monkeypatch, inputs, cure):
    monkeypatch.setattr(srnet.identity, "_tells_case", lambda folder: False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(OptionError, match="would both become") as caught:
        targets(inputs, tmp_path)
    assert all(name in str(caught.value) for name in inputs)
    assert cure in str(caught.value)
    assert ("--name" in str(caught.value)) is ("--name" in cure)


def test_the_cures_for_a_clash_work(tmp_path):
    made = targets(["a.jpg", "a.png"], tmp_path, pattern="{stem}-{ext}{suffix}")
    assert made == ["a-jpg.png", "a-png.png"]
    for name in ("one/p.jpg", "two/p.jpg"):
        picture(tmp_path / "both" / name, kind="jpeg")
    jobs = plan(find([tmp_path / "both"])[0], tmp_path / "out", Options())
    assert [job.target for job in jobs] == [tmp_path / "out" / n / "p.jpg" for n in ("one", "two")]


def test_a_target_that_is_another_input_is_refused(tmp_path):
    found = [Found(tmp_path / "a.jpg"), Found(tmp_path / "a.png", Path("sub"))]
    with pytest.raises(OptionError, match="is an input itself"):
        plan(found, tmp_path, PNG)


def test_results_beside_their_inputs_are_not_taken_for_inputs_again(tmp_path):
    for name in ("a.png", "a_x2.png", "b.png"):
        picture(tmp_path / name)
    found, _ = find([tmp_path], [tmp_path])
    fields = {"scale": "2", "model": "fake"}
    jobs = plan(found, tmp_path, PNG, pattern="{stem}_x{scale}{suffix}", fields=fields)
    assert [(j.source.name, j.target.name) for j in jobs] == [
        ("a.png", "a_x2.png"),
        ("b.png", "b_x2.png"),
    ]


@pytest.mark.parametrize("out", ["out", "in"])
def test_residuals_beside_their_inputs_are_not_taken_for_inputs_again(tmp_path, out):
    for name in ("a.png", "a.png.residual.png", "b.png"):
        picture(tmp_path / "in" / name)
    found, _ = find([tmp_path / "in"], [tmp_path / out, tmp_path / "in"])
    assert len(found) == 3
    jobs = plan(found, tmp_path / out, PNG, residuals=tmp_path / "in")
    assert [job.source.name for job in jobs] == ["a.png", "b.png"]


def test_in_place_is_no_clash(tmp_path):
    picture(tmp_path / "a.png")
    assert targets(["a.png"], tmp_path) == ["a.png"]
    (job,) = plan(find([tmp_path])[0], tmp_path, PNG)
    assert job.target == job.source


def test_in_place_is_refused_where_another_picture_links_to_one(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "z.png").symlink_to("a.png")
    with pytest.raises(OptionError, match=r"a\.png, the result of .*, is what .*z\.png links to"):
        plan(find([tmp_path])[0], tmp_path, PNG)
    assert len(plan(find([tmp_path])[0], tmp_path / "out", PNG)) == 2


def test_how_many_more_would_clash_is_told(tmp_path):
    for name in ("a.gif", "a.bmp", "b.gif", "b.bmp", "b.jp2"):
        (tmp_path / name).touch()
    found = [Found(path) for path in sorted(tmp_path.iterdir())]
    with pytest.raises(OptionError, match=r"a\.bmp and .*a\.gif .* \(2 more like this\)"):
        plan(found, tmp_path / "out", PNG)


def test_a_residual_is_no_result_and_no_input(tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "a.png.residual.png")
    found = [Found(tmp_path / name) for name in ("a.png", "a.png.residual.png")]
    for order in (found, found[::-1]):
        with pytest.raises(OptionError, match=r"a result and a residual, of .* --residual"):
            plan(order, tmp_path / "out", Options(), residuals=tmp_path / "out")
        with pytest.raises(OptionError, match=r"the residual of .*a\.png, is an input itself"):
            plan(order, tmp_path / "out", Options(), residuals=tmp_path)
    assert len(plan(found, tmp_path / "out", Options(), residuals=tmp_path / "added")) == 2


def test_clashes_on_two_drives_are_told_too(tmp_path, monkeypatch):
    def apart(paths):
        raise ValueError("Paths don't have the same drive")

    monkeypatch.setattr(os.path, "commonpath", apart)
    with pytest.raises(OptionError, match="rename one, or upscale them one by one"):
        targets(["one/p.jpg", "two/p.jpg"], tmp_path)
