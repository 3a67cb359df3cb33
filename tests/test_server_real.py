"""The service around a real, tiny network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import srnet
from srnet.engine import TorchEngine
from srnet.errors import OptionError, WeightsError
from srnet.openvino_engine import OpenVINOEngine
from tests.serving import Served, opened, picture, served, until


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, tiny_weights: dict[int, Path]
) -> Iterator[Served]:
    models = f"{tiny_weights[2]},{tiny_weights[3]}"
    with served(tmp_path_factory.mktemp("data"), fake=False, models=models, tile=64) as running:
        yield running


@pytest.mark.parametrize("scale", [2, 4])
def test_gives_what_the_library_gives(
    server: Served, tiny_weights: dict[int, Path], scale: int
) -> None:
    data = picture(150, 90)
    library = srnet.load(str(tiny_weights[2]), tile=64, batch_pixels=64 * 64)
    expected = library(data, replace(library.options, scale=scale))
    answer = server.client.post(f"/v1/upscale?scale={scale}", content=data)
    difference = np.asarray(opened(answer.content), np.int16) - np.asarray(opened(expected))
    assert np.abs(difference).max() <= 1
    again = server.client.post(f"/v1/upscale?scale={scale}", content=data)
    assert again.content == answer.content
    assert answer.headers["x-model"] == "tiny-x2"


def test_models_go_by_name_never_by_path(server: Served) -> None:
    cards = server.client.get("/v1/models").json()
    assert [card["family"] for card in cards] == ["tiny-x2", "tiny-x3"]
    answer = server.client.post("/v1/upscale?model=tiny-x3", content=picture())
    assert opened(answer.content).size == (60, 42)


def test_residual_and_strength(server: Served) -> None:
    data = picture(40, 40)
    shown = np.asarray(opened(server.client.post("/v1/residual", content=data).content))
    assert shown.std() > 1
    plain = server.client.post("/v1/upscale", content=data).content
    assert plain != server.client.post("/v1/upscale?strength=0", content=data).content
    assert plain != server.client.post("/v1/upscale?ensemble=2", content=data).content


def test_job(server: Served) -> None:
    job = server.client.post("/v1/jobs?format=png", content=picture(100, 100)).json()
    address = f"/v1/jobs/{job['id']}"
    until(lambda: server.client.get(address).json()["state"] == "done")
    assert opened(server.client.get(f"{address}/result").content).size == (200, 200)


@pytest.mark.parametrize(("engine", "kind"), [("torch", TorchEngine), ("openvino", OpenVINOEngine)])
def test_the_setting_says_which_engine_runs(
    tmp_path: Path, tiny_weights: dict[int, Path], monkeypatch, engine: str, kind: type
) -> None:
    from server.app import load
    from server.settings import Settings

    if find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed")
    monkeypatch.setenv("SRNET_ENGINE", engine)
    loaded = load(Settings(data_dir=tmp_path, models=str(tiny_weights[2])))
    assert type(loaded["tiny-x2"].engines[2]) is kind


def test_unknown_models_and_no_models_are_refused(tmp_path: Path, monkeypatch) -> None:
    from server.app import create_app
    from server.settings import Settings

    with pytest.raises(OptionError, match="nope"):
        create_app(Settings(data_dir=tmp_path, models="nope"))
    monkeypatch.setattr("srnet.weights.families", list)
    with pytest.raises(WeightsError, match="SRNET_MODELS"):
        create_app(Settings(data_dir=tmp_path))
