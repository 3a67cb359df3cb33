"""Jobs over HTTP: make, look at, follow, fetch, delete."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from server.auth import Caller
from server.blobs import Download
from server.connected import ClientGone
from server.events import Events, event, heard
from server.jobs import Jobs
from server.negotiate import picture_headers, result_name
from server.openapi import (
    PARTIAL,
    PICTURE_HEADERS,
    REFUSALS,
    RESUMED,
    header,
    pictures,
    problems,
    takes_picture,
)
from server.partial import Part
from server.query import Accepted, Wished
from server.service import service_of
from srnet.image import FORMATS

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


class Input(BaseModel):
    """The picture that was sent."""

    name: str
    bytes: int
    width: int
    height: int


class Output(BaseModel):
    """The result."""

    bytes: int
    width: int
    height: int
    format: str
    rounded_to_8_bit: bool = Field(False, description="As the input has more.")
    pages_left_out: int = Field(0, description="Of a TIFF: all but the first.")


class JobState(BaseModel):
    """How a job stands."""

    id: str = Field(examples=["0f1e2d3c4b5a69788796a5b4c3d2e1f0"])
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: float = Field(ge=0, le=1)
    place: int | None = Field(description="In the line, from 1; null when it does not wait.")
    model: str
    input: Input
    output: Output | None
    seconds: float | None = Field(description="That the work took.")
    consistency_db: float | None
    error: dict[str, Any] | None = Field(description="A problem, if the job failed.")
    created: str = Field(examples=["2026-01-31T12:00:00Z"])
    expires: str | None = Field(description="When the result is removed.")


_ID = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
_JOB = {
    "id": _ID,
    "state": "queued",
    "progress": 0.0,
    "place": 2,
    "model": "clean",
    "input": {"name": "photo.jpg", "bytes": 481516, "width": 1200, "height": 800},
    "output": None,
    "seconds": None,
    "consistency_db": None,
    "error": None,
    "created": "2026-01-31T12:00:00Z",
    "expires": None,
}
_DONE = _JOB | {
    "state": "done",
    "progress": 1.0,
    "place": None,
    "output": {
        "bytes": 2342108,
        "width": 4800,
        "height": 3200,
        "format": "jpeg",
        "rounded_to_8_bit": False,
        "pages_left_out": 0,
    },
    "seconds": 14.2,
    "consistency_db": 52.31,
    "expires": "2026-01-31T13:00:20Z",
}
JobId = Annotated[str, Path(description="From the answer to POST /v1/jobs.", examples=[_ID])]


@takes_picture(
    router,
    "",
    status_code=202,
    summary="Make a job",
    response_model=JobState,
    responses={
        202: {
            "description": "The job; it is worked on when its turn comes.",
            "headers": {"Location": header("The job, from here.", f"jobs/{_ID}")},
            "content": {"application/json": {"example": _JOB}},
        },
        **problems(
            *(kind for kind in REFUSALS if kind != "time-limit"),
            "too-large-to-keep",
            "key-reused",
        ),
    },
)
async def create(
    request: Request,
    caller: Caller,  # looked at in this order: without a key, nothing else is
    wishes: Wished,
    accept: Accepted = "*/*",
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            description="Sent again with the same picture and options, it gives the same job back, "
            "unless that job failed by a fault of the service: then it starts anew. Without a "
            "key, the job of a sender who is gone before the answer is dropped.",
            examples=["3f2c8a54-holiday-17"],
        ),
    ] = None,
) -> Response:
    """Takes what `/v1/upscale` takes; answers at once. The job survives a restart."""
    service, jobs = service_of(request), _jobs_of(request)
    request_id = request.scope["request_id"]
    service.check_open()
    await jobs.check(caller, idempotency_key)
    service.check_wishes(wishes)  # all that can be refused before the upload, is
    with service.uploads.place():
        upload = await service.uploads.receive(request, jobs.limit())
        try:
            job = await jobs.create(upload, wishes, accept, caller, idempotency_key, request_id)
        finally:
            upload.blob.discard()
    if idempotency_key is None and await request.is_disconnected():
        await jobs.delete(job.id, caller)  # nobody was told its id, or could learn it
        raise ClientGone
    # Relative to the address that was asked, which a proxy may have under another.
    return JSONResponse(jobs.view(job), 202, {"Location": f"jobs/{job.id}"})


@router.get(
    "/{job_id}",
    summary="How a job stands",
    response_model=JobState,
    responses={
        200: {"content": {"application/json": {"example": _DONE}}},
        **problems("unauthorized", "not-found"),
    },
)
async def state(request: Request, job_id: JobId, caller: Caller) -> dict[str, Any]:
    """State, progress from 0 to 1, and the place in the line."""
    jobs = _jobs_of(request)
    return jobs.view(await jobs.get(job_id, caller))


@router.get(
    "/{job_id}/events",
    summary="Follow a job",
    response_class=Response,
    responses={
        200: {
            "description": "Server-sent events `state`, each with the job as its data.",
            "content": {
                "text/event-stream": {"schema": {"type": "string"}, "example": event(_DONE)}
            },
        },
        204: {"description": "The last event was received already: there will be no more."},
        **problems("unauthorized", "not-found", "busy"),
    },
)
async def events(
    request: Request,
    job_id: JobId,
    caller: Caller,
    last_event_id: Annotated[
        str | None,
        Header(
            description="The `id` of the last event received: 204 if it was that of the end.",
            examples=["done"],
        ),
    ] = None,
) -> Response:
    """One event now and one at each change, five a second at most.

    It ends with the job, and also when the service ends: if the last state is `queued` or
    `running`, ask again. An EventSource does, and stops once it is told by 204 that it heard all.
    """
    jobs = _jobs_of(request)
    job = await jobs.get(job_id, caller)
    if heard(job, last_event_id):
        return Response(status_code=204)
    jobs.open_stream()
    return Events(jobs, job, caller)


@router.get(
    "/{job_id}/result",
    summary="The result of a job",
    response_class=Response,
    responses={
        200: pictures("The enlarged picture.", {**PICTURE_HEADERS, **RESUMED}),
        206: pictures("The part that the header Range asks for.", {**PICTURE_HEADERS, **PARTIAL}),
        304: {"description": "It is what If-None-Match names.", "headers": dict(RESUMED)},
        **problems("unauthorized", "not-found", "job-not-done", "job-failed"),
    },
)
async def result(
    request: Request,
    job_id: JobId,
    caller: Caller,
    span: Annotated[
        str | None,
        Header(alias="Range", description="One range of bytes.", examples=["bytes=100-"]),
    ] = None,
    if_range: Annotated[
        str | None,
        Header(
            description="The ETag of what is there; of another, all is sent.",
            examples=[f'"{_ID}"'],
        ),
    ] = None,
    if_none_match: Annotated[
        str | None,
        Header(
            description="The ETags of what is there: 304 if this is one.",
            examples=[f'"{_ID}"'],
        ),
    ] = None,
) -> Response:
    """The picture, until the job expires; the rest of it, where a download broke off."""
    jobs = _jobs_of(request)
    job = await jobs.result(job_id, caller)
    made = job.output or {}
    size, origin = (made["width"], made["height"]), (job.width, job.height)
    kind = FORMATS[made["format"]]
    headers = picture_headers(
        result_name(job.name, f"_x{size[0] / origin[0]:.3g}{kind.suffix}"),
        job.model,
        origin,
        size,
        job.consistency_db,
        job.stages or {},
        rounded_to_8_bit=made.get("rounded_to_8_bit", False),
        pages_left_out=made.get("pages_left_out", 0),
    )
    part = Part.asked(f'"{job.id}"', job.bytes, span, if_range, if_none_match)
    headers |= part.headers
    if part.status == 304:
        return Response(status_code=304, headers=headers)
    file = await jobs.picture(job)
    return Download(file, part.start, part.end, part.status, headers, kind.media_type)


@router.delete(
    "/{job_id}",
    status_code=204,
    summary="Cancel and delete a job",
    response_class=Response,
    responses=problems("unauthorized", "forbidden-origin", "not-found"),
)
async def delete(request: Request, job_id: JobId, caller: Caller) -> Response:
    """What runs stops within one batch of tiles, or when a WebP or AVIF is encoded."""
    await _jobs_of(request).delete(job_id, caller)
    return Response(status_code=204)


def _jobs_of(request: Request) -> Jobs:
    jobs = request.app.state.jobs
    assert isinstance(jobs, Jobs)
    return jobs
