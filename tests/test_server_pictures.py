"""The contract of /v1/upscale and /v1/residual, with a fake engine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import numpy as np
import pytest

from srnet.errors import DeviceError
from srnet.image import encode, from_array
from tests.serving import Served, location, opened, picture, problem, served, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("data"), max_megapixels=1) as running:
        yield running


def test_form_and_raw_body_give_the_same_bytes_twice(server: Served) -> None:
    data = picture()
    form = server.client.post("/v1/upscale?scale=4", files={"file": ("a.png", data)})
    raw = server.client.post("/v1/upscale", params={"scale": 4}, content=data)
    assert form.status_code == raw.status_code == 200
    assert form.content == raw.content
    assert opened(form.content).size == (80, 56)


def test_put_is_taken_for_post_since_curl_sends_it(server: Served) -> None:
    for path in ("/v1/upscale", "/v1/residual"):
        put = server.client.put(path, content=picture())
        assert put.status_code == 200
        assert put.content == server.client.post(path, content=picture()).content
    job = server.client.put("/v1/jobs", content=picture())
    assert job.status_code == 202
    assert location(job).startswith("/v1/jobs/")


def test_default_body_type_of_curl_is_a_picture(server: Served) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert server.client.post("/v1/upscale", content=picture(), headers=headers).is_success


def test_headers_tell_what_was_done(server: Served) -> None:
    answer = server.client.post("/v1/upscale?width=30", files={"file": ("a.png", picture())})
    headers = answer.headers
    assert headers["x-model"] == "fake"
    assert float(headers["x-scale"]) == 1.5
    assert (headers["x-origin-width"], headers["x-origin-height"]) == ("20", "14")
    assert (headers["x-result-width"], headers["x-result-height"]) == ("30", "21")
    assert float(headers["x-consistency-db"]) > 20
    assert int(headers["content-length"]) == len(answer.content)
    stages = re.findall(r"(\w+);dur=[0-9.]+", headers["server-timing"])
    assert stages == ["queue", "decode", "network", "check", "encode"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("naïve – 写真.jpeg", "naïve – 写真_x2.jpg"),
        ("../../etc/passwd", "passwd_x2.jpg"),
        ("C:\\dir\\a.b.png", "a.b_x2.jpg"),
        ('quo"te.png', 'quo"te_x2.jpg'),
        ("", "picture_x2.jpg"),
    ],
)
def test_result_is_named_after_the_upload(server: Served, name: str, expected: str) -> None:
    # httpx escapes names as browsers do not: the form is written by hand
    body = (
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="'
        + name.replace("\\", "\\\\").replace('"', '\\"').encode()
        + b'"\r\n\r\n'
        + picture(kind="JPEG")
        + b"\r\n--B--\r\n"
    )
    answer = server.client.post(
        "/v1/upscale", content=body, headers={"content-type": "multipart/form-data; boundary=B"}
    )
    assert answer.status_code == 200
    disposition = answer.headers["content-disposition"]
    assert disposition.endswith(f"filename*=UTF-8''{quote(expected, safe='')}")
    assert disposition.isascii()
    assert not server.spooled()


@pytest.mark.parametrize(
    ("accept", "query", "media"),
    [
        ("*/*", "", "image/jpeg"),
        ("image/webp", "", "image/webp"),
        ("image/webp", "format=png", "image/png"),
        ("image/avif;q=0.2, image/png;q=0.9", "", "image/png"),
        ("image/webp, */*;q=0.1", "", "image/webp"),
        ("image/avif,image/webp,image/*,*/*;q=0.8", "", "image/jpeg"),
        ("image/webp,image/avif", "", "image/webp"),
        ("image/tiff, image/png", "", "image/tiff"),
        ("image/png, image/jpeg", "", "image/jpeg"),  # as it came: equal weights
        ("*/*", "format=tif", "image/tiff"),
        ("image/png", "format=jpg", "image/jpeg"),
        ("text/html", "", "image/jpeg"),
        ("image/png;q=oops", "", "image/jpeg"),
    ],
)
def test_accept_picks_the_format(server: Served, accept: str, query: str, media: str) -> None:
    answer = server.client.post(
        f"/v1/upscale?{query}", content=picture(kind="JPEG"), headers={"accept": accept}
    )
    assert answer.headers["content-type"] == media
    assert opened(answer.content).get_format_mimetype() == media


def test_the_format_that_is_written_decides_what_fits(server: Served) -> None:
    wide = picture(width=9000, height=1, kind="WEBP")  # at x2 too wide for WebP
    problem(server.client.post("/v1/upscale", content=wide), 422, "cannot-write")
    as_png = server.client.post("/v1/upscale", content=wide, headers={"accept": "image/png"})
    assert opened(as_png.content).size == (18_000, 2)
    shown = server.client.post("/v1/residual", content=wide)
    assert opened(shown.content).size == (18_000, 2)
    job = server.client.post("/v1/jobs", content=wide)
    problem(job, 422, "cannot-write")


def test_jpeg_with_transparency_needs_a_background(server: Served) -> None:
    data = picture(mode="RGBA")
    refused = server.client.post("/v1/upscale?format=jpeg", content=data)
    problem(refused, 422, "cannot-write")
    flat = server.client.post("/v1/upscale?format=jpeg&background=red", content=data)
    assert opened(flat.content).mode == "RGB"


def test_strength_and_quality_reach_the_library(server: Served) -> None:
    data = picture(60, 60)
    plain = server.client.post("/v1/upscale", content=data).content
    bicubic = server.client.post("/v1/upscale?strength=0", content=data).content
    assert plain != bicubic
    sizes = [
        len(server.client.post(f"/v1/upscale?format=jpeg&quality={q}", content=data).content)
        for q in (20, 95)
    ]
    assert sizes[0] < sizes[1]


def test_residual_is_a_picture_of_what_was_added(server: Served) -> None:
    answer = server.client.post("/v1/residual?scale=2", files={"file": ("a.jpg", picture())})
    assert answer.headers["content-type"] == "image/png"
    assert "a_residual.png" in answer.headers["content-disposition"]
    shown = np.asarray(opened(answer.content))
    assert shown.shape == (28, 40, 3)
    assert abs(float(shown.mean()) - 127.5) < 10


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("scale=17", "scale must be at most 16, not 17"),
        ("scale=0.5", "scale must be at least 1, not 0.5"),
        ("scale=large", "scale must be a number, not large"),
        ("scale=nan", "scale must be a number, not nan"),
        ("scale=inf", "scale must be a number, not inf"),
        ("strength=nan", "strength must be a number, not nan"),
        ("scale=2&width=10", "fit"),
        ("width=2.5", "width must be a whole number, not 2.5"),
        ("fit=10", "fit must be written like 1920x1080, not 10"),
        ("fit=0x5", "fit"),
        ("strength=1.5", "strength must be at most 1, not 1.5"),
        ("ensemble=3", "ensemble must be 1, 2, 4 or 8, not 3"),
        ("scale=2&scale=3", "scale is there more than once: give it once"),
        ("ensemble=02", "ensemble must be 1, 2, 4 or 8, not 02"),
        ("quality=0", "quality must be at least 1, not 0"),
        ("format=gif", "format must be png, jpeg, jpg, webp, tiff, tif or avif, not gif"),
        ("subsampling=4:1:1", "subsampling must be 4:4:4, 4:2:2 or 4:2:0, not 4:1:1"),
        ("png_level=10", "png_level must be at most 9, not 10"),
        ("keep_metadata=perhaps", "keep_metadata must be true or false, not perhaps"),
        ("background=ff", "background must be written like ffffff, not ff"),
        ("background=reddish", "background must be a colour such as white or #ffffff, not reddish"),
        ("background=" + 100 * "f", "background must be written like ffffff"),
        ("model=nope", "fake"),
        ("model=" + 101 * "m", "model must have at most 100 characters"),
        ("qualty=90", "qualty is not a parameter: did you mean quality?"),
        ("x=1", "x is not a parameter; there are model, scale, width"),
        ("width=9999", "times"),
    ],
)
def test_bad_parameter_is_422_and_named(server: Served, query: str, says: str) -> None:
    answer = server.client.post(f"/v1/upscale?{query}", content=picture())
    assert says in problem(answer, 422, "bad-parameter")


def test_subsampling_and_png_level_reach_the_encoder(server: Served) -> None:
    noise = encode(
        [from_array(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))], "png"
    )

    def size(query: str) -> int:
        return len(server.client.post(f"/v1/upscale?{query}", content=noise).content)

    assert size("format=jpeg&subsampling=4:2:0") < 0.9 * size("format=jpeg")
    assert size("format=png&png_level=0") > size("format=png&png_level=9")


def test_too_many_output_pixels(server: Served) -> None:
    answer = server.client.post("/v1/upscale?scale=16", content=picture(100, 100))
    assert "megapixels" in problem(answer, 422, "too-many-pixels")
    answer = server.client.post("/v1/upscale?scale=16", content=picture(5000, 1000))
    told = problem(answer, 422, "too-many-pixels")
    assert told.endswith(": choose a smaller scale")


def test_failures_inside_are_not_told(server: Served) -> None:
    server.engine.error = RuntimeError("secret /tmp/path.py at 0x1234")
    try:
        answer = server.client.post("/v1/upscale", content=picture())
        problem(answer, 500, "internal")
        server.engine.error = DeviceError("cuda:0 has 3 bytes left")
        answer = server.client.post("/v1/upscale", content=picture())
        assert "cuda" not in problem(answer, 503, "busy")
        assert answer.headers["retry-after"]
    finally:
        server.engine.error = None


def test_long_results_go_through_a_file_that_is_removed(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = server.client.post("/v1/upscale", content=picture()).content
    monkeypatch.setattr("server.blobs.IN_MEMORY", 100)
    monkeypatch.setattr("server.upload.IN_MEMORY", 10)
    assert server.client.post("/v1/upscale", content=picture()).content == short
    until(lambda: not server.spooled())


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("image/jpeg, image/png;q=0.5", "image/png"),
        ("image/jpeg, image/webp;q=0.5, image/png;q=0.2", "image/webp"),
        ("image/jpeg, */*;q=0.1", "image/png"),
        ("image/jpeg", None),
        ("image/jpeg, image/png;q=0", None),
    ],
)
def test_accept_falls_back_to_what_can_hold_the_picture(
    server: Served, accept: str, media: str | None
) -> None:
    headers = {"accept": accept}
    sent = picture(mode="RGBA")
    answer = server.client.post("/v1/upscale", content=sent, headers=headers)
    if media is None:
        told = problem(answer, 422, "cannot-write")
        assert "(parameter background)" in told
        assert "--" not in told
    else:
        assert answer.headers["content-type"] == media
    answer = server.client.post("/v1/upscale?background=ffffff", content=sent, headers=headers)
    assert answer.headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", "image/png"),
        ("text/html", "image/png"),
        ("image/bmp", "image/png"),
        ("image/jpeg", "image/jpeg"),
        ("image/webp, image/jpeg;q=0.5", "image/jpeg"),
        ("image/webp, */*;q=0.1", "image/png"),
        ("image/webp", None),
    ],
)
@pytest.mark.parametrize("kind", ["WEBP", "GIF"])
def test_residual_falls_back_to_what_can_hold_it(
    server: Served, accept: str, media: str | None, kind: str
) -> None:
    wide = picture(width=9000, height=1, kind=kind)  # at x2 too wide for WebP
    server.engine.batches = 0
    answer = server.client.post("/v1/residual", content=wide, headers={"accept": accept})
    if media is None:
        problem(answer, 422, "cannot-write")
        assert not server.engine.batches  # told before the work, not after it
    else:
        assert opened(answer.content).get_format_mimetype() == media
        assert opened(answer.content).size == (18_000, 2)


@pytest.mark.parametrize("path", ["/v1/upscale", "/v1/residual"])
def test_without_loss_means_a_format_that_can(server: Served, path: str) -> None:
    def ask(accept: str) -> httpx.Response:
        sent, headers = picture(kind="PNG"), {"accept": accept}
        return server.client.post(f"{path}?lossless=true", content=sent, headers=headers)

    assert ask("image/jpeg, image/webp;q=0.5").headers["content-type"] == "image/webp"
    assert ask("image/jpeg, */*;q=0.1").headers["content-type"] == "image/png"
    assert "without loss" in problem(ask("image/jpeg"), 422, "bad-parameter")
