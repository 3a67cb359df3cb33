"""A picture in, a picture out, in one request."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import Response

from server.auth import Caller
from server.blobs import CHUNK, Download
from server.connected import while_connected
from server.negotiate import picture_headers, result_name
from server.openapi import PICTURE_HEADERS, REFUSALS, pictures, problems, takes_picture
from server.query import Accepted, Wished, Wishes
from server.service import Service, service_of
from server.work import Result, Stop, Task, enlarge, show_residual

router = APIRouter(prefix="/v1", tags=["pictures"])

_Work = Callable[[Task, Stop], Result]
_RESIDUAL_HEADERS = {n: told for n, told in PICTURE_HEADERS.items() if n != "X-Consistency-DB"}


@takes_picture(
    router,
    "/upscale",
    summary="Enlarge a picture",
    response_class=Response,
    responses={200: pictures("The enlarged picture.", PICTURE_HEADERS), **problems(*REFUSALS)},
)
async def upscale(
    request: Request, _: Caller, wishes: Wished, accept: Accepted = "*/*"
) -> Response:
    """The picture comes as the form field `file` or as the whole body; options in the query.

    `curl -F file=@in.jpg 'localhost:8000/v1/upscale?scale=4' -o out.jpg`
    """
    return await _respond(request, wishes, accept, enlarge)


@takes_picture(
    router,
    "/residual",
    summary="Show what the network adds",
    response_class=Response,
    responses={
        200: pictures("Grey where nothing is added.", _RESIDUAL_HEADERS),
        **problems(*REFUSALS),
    },
)
async def residual(
    request: Request, _: Caller, wishes: Wished, accept: Accepted = "*/*"
) -> Response:
    """Takes what `/v1/upscale` takes, and answers with the difference from bicubic, enhanced.

    Of an animation, the first frame is shown. The result is PNG unless another is asked for.
    """
    limit = service_of(request).settings.max_residual_megapixels
    return await _respond(request, wishes, accept, show_residual, limit)


async def _respond(
    request: Request, wishes: Wishes, accept: str, work: _Work, max_megapixels: float = math.inf
) -> Response:
    service = service_of(request)
    service.check_open()
    service.gate.check()
    service.check_wishes(wishes)  # all that can be refused before the upload, is
    with service.uploads.place() as place:
        upload = await service.uploads.receive(request)
        try:
            model, task = service.task(wishes, upload.blob.read, accept, max_megapixels)
            doing = _do(service, task, functools.partial(work, task), place.close)
            result = await while_connected(request, doing, service.settings.time_limit)
        finally:
            upload.blob.discard()
    ending = "_residual" if work is show_residual else f"_x{result.scale:.3g}"
    return await deliver(result, result_name(upload.name, ending + result.suffix), model)


async def _do(
    service: Service, task: Task, work: Callable[[Stop], Result], admitted: Callable[[], None]
) -> Result:
    if service.gate.full:  # what cannot be done need not wait to be told so
        await service.inspect(task)
    admitted()  # perform enters the gate before anything else happens in this loop
    return await service.perform(work)


async def deliver(result: Result, name: str, model: str) -> Response:
    """The response with a picture; its file is removed before."""
    headers = picture_headers(
        name,
        model,
        result.origin,
        result.size,
        result.consistency_db,
        result.seconds,
        **result.lacks,
    )
    if result.blob.content is not None and result.blob.size <= CHUNK:  # half a millisecond less
        return Response(result.blob.content, 200, headers, result.media_type)
    headers["Content-Length"] = str(result.blob.size)
    file = await result.blob.take()
    return Download(file, 0, result.blob.size, 200, headers, result.media_type)
