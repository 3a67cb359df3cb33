"""Requests made from the OpenAPI document: never a 500, never an undocumented answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from tests.serving import Served, picture, served

schemathesis = pytest.importorskip("schemathesis")

POSITIVE = schemathesis.GenerationMode.POSITIVE
NEGATIVE = schemathesis.GenerationMode.NEGATIVE
OPERATIONS = [
    "POST /v1/upscale",
    "POST /v1/residual",
    "POST /v1/jobs",
    "PUT /v1/upscale",
    "PUT /v1/residual",
    "PUT /v1/jobs",
    "GET /v1/jobs/{job_id}",
    "GET /v1/jobs/{job_id}/events",
    "GET /v1/jobs/{job_id}/result",
    "DELETE /v1/jobs/{job_id}",
    "GET /v1/models",
    "GET /livez",
    "GET /readyz",
    "GET /metrics",
]
FINE = [200, 202, 204, 400, 404, 409, 413, 415, 422]  # random bytes are rightly refused
bounded = settings(
    max_examples=15,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("data")
    with served(folder, max_megapixels=0.1, jobs_waiting=1000) as running:
        yield running


@pytest.fixture(scope="module")
def schema(server: Served):
    checks = {"positive_data_acceptance": {"expected-statuses": FINE}}
    config = schemathesis.Config.from_dict({"checks": checks})
    return schemathesis.openapi.from_url(
        f"http://127.0.0.1:{server.port}/openapi.json", config=config
    )


def operation(schema, name: str):
    method, path = name.split()
    return schema[path][method]


def test_every_operation_is_listed_here(schema) -> None:
    found = [result.ok() for result in schema.get_all_operations()]
    assert sorted(f"{one.method.upper()} {one.path}" for one in found) == sorted(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_random_requests(schema, name: str) -> None:
    modes = [POSITIVE]
    if "POST" in name:  # there is something that can be wrong
        modes.append(NEGATIVE)
    for mode in modes:

        @bounded
        @given(case=operation(schema, name).as_strategy(generation_mode=mode))
        def check(case) -> None:
            case.call_and_validate(timeout=20)

        check()


@pytest.mark.parametrize("name", OPERATIONS[:3])
def test_random_options_with_a_real_picture(schema, server: Served, name: str) -> None:
    statuses = set()

    @bounded
    @given(case=operation(schema, name).as_strategy(generation_mode=POSITIVE))
    def check(case) -> None:
        case.media_type = "multipart/form-data"
        case.body = {"file": picture()}
        # It takes the picture for invalid: bytes are no string.
        answer = case.call()
        case.validate_response(
            answer, excluded_checks=[schemathesis.checks.negative_data_rejection]
        )
        statuses.add(answer.status_code)

    check()
    assert {200, 202} & statuses
