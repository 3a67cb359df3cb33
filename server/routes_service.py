"""What is not work: models, health, readiness, metrics, the page, the documentation."""

from __future__ import annotations

import dataclasses
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from server import docs as documentation
from server import page
from server.auth import Caller
from server.openapi import problems
from server.service import service_of
from srnet.card import Card, Data, NetConfig, Training

router = APIRouter()


class ModelCard(BaseModel):
    """All that is known of a weights file; numbers of pixels are of the smaller picture."""

    family: str = Field(description="What the parameter `model` takes.")
    name: str
    scale: int
    version: int
    degradation: str = Field(description="What it was trained to enlarge: clean or photo.")
    licence: str
    halo: int = Field(description="How far a pixel of the result looks.")
    net: NetConfig
    training: Training
    data: Data
    metrics: dict[str, float] = Field(description="dB on Y unless the key says else.")
    engine: str = Field(description="What runs it here, in which precision; empty until it has.")
    calibrated: int = Field(description="Pictures that int8 was measured on; 0: there is no int8.")
    turned: int = Field(description="Steps that made it lose less in bfloat16.")
    format: int = Field(description="How the tensors of the file are to be read.")


_CARD = Card("clean-x2", NetConfig(2, 64, 16), 35, metrics={"Set5": 38.0})
_MODEL = {**dataclasses.asdict(_CARD), "family": "clean", "scale": 2, "engine": "openvino bfloat16"}


def _text(example: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"text/plain": {"example": example}}}}


@router.get(
    "/v1/models",
    tags=["service"],
    summary="Which models are here",
    response_model=list[ModelCard],
    responses={
        200: {"content": {"application/json": {"example": [_MODEL]}}},
        **problems("unauthorized"),
    },
)
async def models(request: Request, _: Caller) -> list[dict[str, Any]]:
    """The card of each weights file; `family` is what `model` takes, the first the default."""
    return [
        {
            **dataclasses.asdict(engine.card),
            "family": name,
            "scale": engine.card.scale,
            "engine": engine.kind,
        }
        for name, upscaler in service_of(request).upscalers.items()
        for engine in upscaler.engines.values()
    ]


@router.get(
    "/livez",
    tags=["service"],
    summary="Is the process alive",
    response_class=PlainTextResponse,
    responses=_text("ok\n"),
)
async def livez() -> str:
    """Always `ok`, also while models load and while it drains, as long as it listens."""
    return "ok\n"


@router.get(
    "/readyz",
    tags=["service"],
    summary="Can it take work",
    response_class=PlainTextResponse,
    responses={**_text("ok\n"), **problems("not-ready")},
)
async def readyz(request: Request) -> str:
    """`ok` once the weights are loaded and one tile was run, until it shuts down."""
    service_of(request).check_open()
    return "ok\n"


@router.get(
    "/metrics",
    tags=["service"],
    summary="Numbers for Prometheus",
    response_class=PlainTextResponse,
    responses={
        **_text('srnet_queue_depth{kind="requests"} 0.0\n'),
        **problems("unauthorized"),
    },
)
async def metrics(request: Request, _: Caller) -> Response:
    """Requests, seconds of each stage, queues, megapixels, refusals, resident memory."""
    return Response(service_of(request).metrics.text(), media_type=CONTENT_TYPE_LATEST)


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    """The documentation, made from the OpenAPI document; no script and nothing from elsewhere."""
    return HTMLResponse(documentation.page(request.app.openapi()))


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    return JSONResponse(request.app.openapi())


@router.get("/", include_in_schema=False)
async def index(request: Request) -> Response:
    """The page."""
    return page.file("index.html", request.headers.get("if-none-match"))


async def asset(request: Request) -> Response:
    """A file that the page is made of; each has a route of its own."""
    name = request.scope["route"].path.removeprefix("/")
    return page.file(name, request.headers.get("if-none-match"))


for _name in page.NAMES:
    router.add_api_route(f"/{_name}", asset, methods=["GET"], include_in_schema=False)
