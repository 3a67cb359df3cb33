"""Broken and hostile uploads: each gets a problem, in time, without memory or files."""

from __future__ import annotations

import http.client
import io
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.serving import Served, opened, picture, problem, served, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("data")
    with served(folder, max_upload_mb=2, max_megapixels=4) as running:
        yield running
        assert not running.spooled()


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(rows)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b""))
    )


def animation() -> bytes:
    file = io.BytesIO()
    frames = [PIL.Image.new("L", (400, 400), i * 4) for i in range(60)]
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    return file.getvalue()


def flipped() -> bytes:
    data = bytearray(picture(200, 200, "JPEG"))
    for i in range(400, len(data), 97):
        data[i] ^= 0x55
    return bytes(data)


HOSTILE: dict[str, tuple[Callable[[], bytes], set[int]]] = {
    "bomb": (lambda: png(60_000, 60_000, bytes(1_000_000)), {422}),
    "bomb of frames": (animation, {422}),
    "header only": (lambda: png(100, 100), {415}),
    "too little data": (lambda: png(100, 100, bytes(500)), {415}),
    "too large a size": (lambda: png(2**31 - 1, 2**31 - 1), {415, 422}),
    "no size": (lambda: png(0, 0), {415}),
    "1 x 65535": (lambda: picture(1, 65_535), {200}),
    "65535 x 1": (lambda: picture(65_535, 1), {200}),
    "truncated png": (lambda: picture(200, 200)[:-300], {415}),
    "truncated jpeg": (lambda: picture(200, 200, "JPEG")[:-300], {415}),
    "flipped bits": (flipped, {200, 415}),
    "one byte": (lambda: b"\x89", {415}),
    "signature": (lambda: b"\x89PNG\r\n\x1a\n", {415}),
    "zeros": (lambda: bytes(100_000), {415}),
    "noise": (lambda: np.random.default_rng(0).bytes(100_000), {415}),
    "html": (lambda: b"<!doctype html><script>alert(1)</script>", {415}),
    "svg": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="/x"/></svg>', {415}),
    "pdf": (lambda: b"%PDF-1.7\n1 0 obj<<>>endobj", {415}),
    "postscript": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd)(r)file", {415}),
    "zip": (lambda: b"PK\x03\x04" + bytes(100), {415}),
    "polyglot of png and html": (lambda: picture() + b"<script>alert(1)</script>", {200, 415}),
    "polyglot of gif and script": (lambda: b"GIF89a=1;alert(1);//" + bytes(50), {415}),
    "url": (lambda: b"http://localhost/livez", {415}),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("path", ["/v1/upscale?scale=2", "/v1/residual?scale=2"])
def test_hostile_picture(server: Served, name: str, path: str) -> None:
    build, expected = HOSTILE[name]
    start = time.process_time()  # of this process, in which the server is: others cost nothing
    answer = server.client.post(path, files={"file": ("x.png", build())})
    assert answer.status_code in expected, answer.text[:300]
    if answer.status_code == 415:
        problem(answer, 415, "not-a-picture")
    elif answer.status_code == 422:
        problem(answer, 422, "too-many-pixels")
    else:
        assert b"<script>" not in answer.content
    assert time.process_time() - start < 5


def test_a_job_of_too_many_frames_is_refused_at_once(server: Served) -> None:
    frame = b",\0\0\0\0\1\0\1\0\0\2\2L\1\0"
    gif = b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + frame * 5_000 + b";"
    answer = server.client.post("/v1/jobs?scale=2", files={"file": ("x.gif", gif)})
    assert "5000 frames" in problem(answer, 422, "too-many-pixels")


def test_wrong_content_type_is_no_matter(server: Served) -> None:
    for kind in ("image/png", "text/html", "application/json", "nonsense"):
        answer = server.client.post(
            "/v1/upscale", content=picture(kind="JPEG"), headers={"content-type": kind}
        )
        assert opened(answer.content).format == "JPEG"


def test_empty_body(server: Served) -> None:
    assert "curl" in problem(server.client.post("/v1/upscale"), 400, "malformed-request")
    empty = server.client.post("/v1/upscale", files={"file": ("a.png", b"")})
    problem(empty, 400, "malformed-request")


PART = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
MALFORMED = {
    "no boundary": ("multipart/form-data", PART + b"x\r\n--B--\r\n"),
    "other boundary": ("multipart/form-data; boundary=C", PART + b"x\r\n--B--\r\n"),
    "no end": ("multipart/form-data; boundary=B", PART + b"x"),
    "no parts": ("multipart/form-data; boundary=B", b"--B--\r\n"),
    "garbage": ("multipart/form-data; boundary=B", b"\0\1\2" * 1000),
    "endless header": ("multipart/form-data; boundary=B", b"--B\r\nX: " + b"y" * 100_000),
    "many headers": ("multipart/form-data; boundary=B", b"--B\r\n" + b"X: y\r\n" * 10_000),
    "two pictures": ("multipart/form-data; boundary=B", PART + b"x\r\n" + PART + b"x\r\n--B--\r\n"),
    "endless boundary": (f"multipart/form-data; boundary={'B' * 5000}", PART),
    "long preamble": ("multipart/form-data; boundary=B", b"x" * 200_000 + PART + b"x\r\n--B--\r\n"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_form(server: Served, name: str) -> None:
    kind, body = MALFORMED[name]
    answer = server.client.post("/v1/upscale", content=body, headers={"content-type": kind})
    problem(answer, 400, "malformed-request")


def test_options_in_the_form_are_sent_to_the_query(server: Served) -> None:
    answer = server.client.post("/v1/upscale", data={"scale": "4"}, files={"file": picture()})
    assert "/v1/upscale?scale=4" in problem(answer, 400, "malformed-request")


def test_too_many_bytes_by_announcement_are_not_waited_for(server: Served) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(b"POST /v1/upscale HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


HEAD = b"POST /v1/jobs%s HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("announced", "kind"), [(400_001, "too-large-to-keep"), (2_000_001, "too-many-bytes")]
)
def test_what_a_job_can_never_keep_is_not_waited_for(
    tmp_path: Path, announced: int, kind: str
) -> None:
    head = HEAD % b"" + b"Content-Length: %d\r\n\r\n" % announced
    with (
        served(tmp_path, store_mb=0.4, max_upload_mb=2) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=60) as client,
    ):
        client.sendall(head)
        assert f"/docs#{kind}".encode() in body(client)


@pytest.mark.parametrize("form", [False, True])
def test_what_a_job_can_never_keep_is_counted_as_it_comes(tmp_path: Path, form: bool) -> None:
    kind = b"Content-Type: multipart/form-data; boundary=B\r\n" if form else b""
    sent = (PART if form else b"") + bytes(400_001)  # and no end: the answer comes before it
    with served(tmp_path, store_mb=0.4, max_upload_mb=2) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
            client.sendall(HEAD % b"" + kind + b"Transfer-Encoding: chunked\r\n\r\n")
            client.sendall(b"%x\r\n" % len(sent) + sent + b"\r\n")
            assert b"/docs#too-large-to-keep" in body(client)
        assert not server.spooled()


@pytest.mark.parametrize("query", [b"model=nope", b"scale=2&width=9", b"format=jpeg&lossless=1"])
@pytest.mark.parametrize("path", [b"jobs", b"upscale", b"residual"])
def test_options_that_cannot_work_are_not_waited_for(
    server: Served, query: bytes, path: bytes
) -> None:
    head = HEAD.replace(b"jobs", path) % (b"?" + query)
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(head + b"Content-Length: 100\r\n\r\n")
        assert b"/docs#bad-parameter" in body(client)


def body(client: socket.socket) -> bytes:
    """Of the answer. The other side reads on for a while before it ends the connection."""
    with http.client.HTTPResponse(client) as answer:
        answer.begin()
        assert answer.will_close
        return answer.read()


@pytest.mark.parametrize("form", [False, True])
def test_endless_chunked_body_is_cut_off(server: Served, form: bool) -> None:
    kind = b"Content-Type: multipart/form-data; boundary=B\r\n" if form else b""
    head = b"POST /v1/upscale HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    piece = PART + bytes(100_000) if form else bytes(100_000)
    answer, patience, cut_off = b"", time.monotonic() + 60, False
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(head + kind + b"\r\n")
        while not cut_off and time.monotonic() < patience:
            try:
                client.settimeout(1)
                client.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")
                piece = bytes(100_000)
                client.settimeout(0.001)
                answer += client.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                cut_off = True
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer
    assert cut_off


def test_slow_sender_is_given_up(tmp_path: Path) -> None:
    with served(tmp_path, upload_seconds=0.3) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
            client.sendall(b"POST /v1/upscale HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(3):  # bytes that come do not start the clock anew
                client.sendall(b"x")
                time.sleep(0.05)
            assert client.recv(100).startswith(b"HTTP/1.1 408 ")
        assert not server.spooled()


def test_sender_that_breaks_off_leaves_nothing(server: Served) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"POST /v1/upscale HTTP/1.1\r\nHost: x\r\nContent-Length: 1900000\r\n\r\n")
        client.sendall(bytes(1_500_000))
        until(server.spooled)
    until(lambda: not server.spooled())


def test_large_upload_goes_through_a_file(server: Served) -> None:
    data = picture(800, 700, "BMP")
    assert len(data) > 1 << 20
    answer = server.client.post("/v1/upscale?width=80", files={"file": ("a.bmp", data)})
    assert opened(answer.content).size == (80, 70)


def test_too_many_uploads_at_once(tmp_path) -> None:
    with served(tmp_path, uploads=1) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"POST /v1/upscale HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1")
            until(lambda: server.service.uploads.count == 1)
            problem(server.client.post("/v1/upscale", content=picture()), 503, "busy")
        until(lambda: server.service.uploads.count == 0)
        assert server.client.post("/v1/upscale", content=picture()).is_success
