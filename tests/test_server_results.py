"""What is told of results, and how they are fetched in parts."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import PIL.Image
import pytest
from pydantic import ValidationError

from server.app import create_app
from server.jobs import Jobs
from server.partial import Part
from server.problems import Problem
from server.settings import Settings
from srnet.image import encode, from_array
from srnet.pngchunks import with_chunk
from srnet.upscaler import Upscaler
from tests.serving import HeldEngine, Served, location, opened, picture, problem, served, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("data")) as running:
        yield running


def finished(server: Served, data: bytes, query: str = "") -> str:
    """The address of a job that is done."""
    job = location(server.client.post(f"/v1/jobs?{query}", content=data))
    until(lambda: server.client.get(job).json()["state"] == "done")
    return job


def test_a_download_goes_on_where_it_broke_off(server: Served) -> None:
    address = finished(server, picture(90, 70)) + "/result"
    whole = server.client.get(address)
    assert whole.headers["accept-ranges"] == "bytes"
    tag, size = whole.headers["etag"], len(whole.content)
    for asked, start, end in [("100-", 100, size), ("0-0", 0, 1), ("-50", size - 50, size)]:
        for headers in ({}, {"if-range": tag}):
            part = server.client.get(address, headers={"range": f"bytes={asked}", **headers})
            assert part.status_code == 206
            assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
            assert part.content == whole.content[start:end]
    for headers in (
        *({"range": "bytes=0-9", "if-range": '"other"'}, {"range": f"bytes={size}-"}),
        *({"range": "bytes=0-1,5-9"}, {"range": "pages=1-2"}, {"range": "bytes=9-2"}),
    ):
        assert server.client.get(address, headers=headers).content == whole.content
    head = server.client.head(address, headers={"range": "bytes=0-9"})
    assert (head.status_code, int(head.headers["content-length"])) == (200, size)
    for known in (tag, f'"x", W/{tag}', "*"):
        same = server.client.get(address, headers={"if-none-match": known})
        assert (same.status_code, same.content) == (304, b"")
        assert same.headers["etag"] == tag
    assert server.client.get(address, headers={"if-none-match": '"x"'}).status_code == 200


def test_lists_may_come_in_several_lines(server: Served) -> None:
    lines = [("accept", "text/html"), ("accept", "image/webp"), ("accept", "image/png;q=0.5")]
    answer = server.client.post("/v1/upscale", content=picture(), headers=lines)
    assert answer.headers["content-type"] == "image/webp"
    for address in (finished(server, picture()) + "/result", "/"):
        tag = server.client.get(address).headers["etag"]
        lines = [("if-none-match", '"x"'), ("if-none-match", tag)]
        assert server.client.get(address, headers=lines).status_code == 304


def test_ranges_of_absurd_length_are_none() -> None:
    for asked in ("bytes=" + "9" * 5000 + "-", "bytes=-", "bytes=--5", "bytes=-0", ""):
        assert Part.asked('"a"', 10, asked) == Part('"a"', 10, 200, 0, 10)
    assert Part.asked('"a"', 10, "bytes=-99") == Part('"a"', 10, 206, 0, 10)
    assert Part.asked('"a"', 10, "Bytes=2-99") == Part('"a"', 10, 206, 2, 10)


def test_what_a_result_lacks_is_told(server: Served) -> None:
    deep = encode([from_array(np.zeros((6, 9, 3), np.uint16))], "png")
    pages = [PIL.Image.new("RGB", (9, 6)) for _ in range(3)]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    told = server.client.post("/v1/upscale?format=jpeg", content=deep).headers
    assert told["x-rounded-to-8-bit"] == "1"
    assert "x-pages-left-out" not in told
    told = server.client.post("/v1/upscale", content=file.getvalue()).headers
    assert told["x-pages-left-out"] == "2"
    assert "x-rounded-to-8-bit" not in told
    job = finished(server, deep, "format=webp")
    assert server.client.get(job).json()["output"]["rounded_to_8_bit"] is True
    assert server.client.get(f"{job}/result").headers["x-rounded-to-8-bit"] == "1"
    job = finished(server, file.getvalue())
    assert server.client.get(job).json()["output"]["pages_left_out"] == 2
    assert server.client.get(f"{job}/result").headers["x-pages-left-out"] == "2"


def test_a_packed_body_is_told_to_be_one(server: Served) -> None:
    headers = {"content-encoding": "gzip"}
    answer = server.client.post("/v1/upscale", content=gzip.compress(picture()), headers=headers)
    assert "packed" in problem(answer, 415, "not-a-picture")


def test_signs_that_browsers_escape_in_names_come_back(server: Served, tmp_path: Path) -> None:
    form = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a %22b%22 50%.png"\r\n\r\n'
    )
    headers = {"content-type": "multipart/form-data; boundary=b"}
    body = form + picture() + b"\r\n--b--\r\n"
    answer = server.client.post("/v1/upscale", content=body, headers=headers)
    name = answer.headers["content-disposition"].split("UTF-8''")[1]
    assert unquote(name) == 'a "b" 50%_x2.png'


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ('filename="v1.2 ' + 120 * "a" + '.png"', "v1.2 " + 91 * "a" + "_x2.png"),
        ('filename="v1.2 ' + 120 * "a" + '"', "v1.2 " + 95 * "a" + "_x2.png"),
        ("filename*=utf-8''na%C3%AFve.png", "naïve_x2.png"),
        ("filename=\"a.png\"; filename*=UTF-8''b.png", "a_x2.png"),
    ],
)
def test_names_are_cut_before_their_ending_and_read_as_older_clients_write_them(
    server: Served, name: str, expected: str
) -> None:
    form = f'--b\r\nContent-Disposition: form-data; name="file"; {name}\r\n\r\n'.encode()
    headers = {"content-type": "multipart/form-data; boundary=b"}
    body = form + picture() + b"\r\n--b--\r\n"
    answer = server.client.post("/v1/upscale?scale=2", content=body, headers=headers)
    assert unquote(answer.headers["content-disposition"].split("UTF-8''")[1]) == expected


@pytest.mark.parametrize(("step", "status"), [("result", 404), ("picture", 200)])
def test_a_result_that_is_deleted_meanwhile(
    server: Served, monkeypatch: pytest.MonkeyPatch, step: str, status: int
) -> None:
    address, take = finished(server, picture()), getattr(Jobs, step)

    async def and_deleted(self: Jobs, *given: Any) -> Any:
        found = await take(self, *given)
        await self.delete(address.rsplit("/", 1)[-1], "")
        return found

    monkeypatch.setattr(Jobs, step, and_deleted)
    answer = server.client.get(f"{address}/result")
    assert answer.status_code == status
    assert opened(answer.content).size if status == 200 else problem(answer, 404, "not-found")
    problem(server.client.get(address), 404, "not-found")


def test_a_service_without_models_says_so(tmp_path: Path) -> None:
    service = create_app(
        Settings(data_dir=tmp_path), {"fake": Upscaler([HeldEngine()])}
    ).state.service
    service.failure = RuntimeError("a secret")
    with pytest.raises(Problem, match="cannot be used") as caught:
        service.check_open()
    assert (caught.value.kind, "secret" in caught.value.detail) == ("not-ready", False)


def test_the_largest_settings_work(tmp_path: Path) -> None:
    amounts = [name for name, field in Settings.model_fields.items() if field.annotation is float]
    assert len(amounts) > 10
    for name in amounts:
        for wrong in (float("inf"), float("nan"), 1e30):
            with pytest.raises(ValidationError, match=name):
                Settings(**{name: wrong})
    most = {name: 1e6 if "megapixels" in name else 1e9 for name in amounts}
    with served(tmp_path, **{**most, "grace_seconds": 1}) as server:
        assert server.client.post("/v1/upscale", content=picture()).is_success
        assert server.client.post("/v1/residual", content=picture()).is_success
        assert server.client.get(finished(server, picture()) + "/result").is_success


def test_residual_of_a_picture_of_high_range_is_an_ordinary_one(server: Served) -> None:
    bright = with_chunk(picture(), b"cICP", bytes([9, 16, 0, 1]))
    problem(server.client.post("/v1/upscale?format=jpeg", content=bright), 422, "cannot-write")
    added = server.client.post("/v1/residual?format=jpeg", content=bright)
    assert opened(added.content).format == "JPEG"


@pytest.mark.parametrize("path", ["/v1/upscale", "/v1/jobs"])
def test_what_cannot_be_written_is_documented_and_refused(server: Served, path: str) -> None:
    bright = with_chunk(picture(), b"cICP", bytes([9, 16, 0, 1]))
    problem(server.client.post(f"{path}?format=jpeg", content=bright), 422, "cannot-write")
    told = server.client.get("/openapi.json").json()["paths"][path]["post"]["responses"]["422"]
    assert "cannot-write" in json.dumps(told)
