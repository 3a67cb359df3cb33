"""Requests that are made to hurt: each costs the service little, and is told what is wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serving import Served, problem, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("data"), api_keys="key") as running:
        running.client.headers["x-api-key"] = "key"
        yield running


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("&".join(map(str, range(30))), "There are 30 parameters: at most 14 are known"),
        ("scale=2" + 2000 * "&a", "There are 2001 parameters"),
        ("scale=2&" + 2 * (100 * "x" + "&"), 40 * "x" + " is there more than once"),
    ],
)
def test_many_parameters_are_not_looked_at(server: Served, query: str, says: str) -> None:
    answer = server.client.post(f"/v1/upscale?{query}")
    assert says in problem(answer, 422, "bad-parameter")
    assert "errors" not in answer.json()


def test_a_long_name_is_neither_searched_nor_quoted(server: Served) -> None:
    answer = server.client.post(f"/v1/upscale?{5000 * 'x'}=1")
    assert f"{40 * 'x'} is not a parameter; there" in problem(answer, 422, "bad-parameter")
    assert answer.json()["errors"][0]["where"] == 40 * "x"


@pytest.mark.parametrize("path", ["/v1/upscale", "/v1/residual", "/v1/jobs"])
def test_without_a_key_nothing_else_is_looked_at(server: Served, path: str) -> None:
    for query in ("colour=1", "scale=2&scale=3", 100 * "&a"):
        wrong = {"x-api-key": "wrong"}
        answer = server.client.post(f"{path}?{query}", headers=wrong)
        problem(answer, 401, "unauthorized")
