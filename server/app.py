"""``create_app``: the routes, their errors and the life of the service, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI

import srnet
from server import answers, routes_jobs, routes_pictures, routes_service
from server.cors import Cors
from server.edge import Edge
from server.jobs import Jobs
from server.line import Line
from server.openapi import complete
from server.prompt import METRICS
from server.service import Service
from server.settings import Settings
from srnet import product, weights
from srnet.engine import Turnstile
from srnet.errors import OptionError, WeightsError
from srnet.upscaler import Upscaler

DESCRIPTION = (
    "Enlarges pictures with a small residual network: bicubic, plus what bicubic lacks. "
    "Pictures go in and come out as files; options are in the query, with the names of the "
    "command line. For pictures that take longer than a request should, make a job. "
    "HEAD works wherever GET does."
)


def create_app(
    settings: Settings | None = None, upscalers: Mapping[str, Upscaler] | None = None
) -> FastAPI:
    """The application. Reads the environment where ``settings`` is absent, and nothing before.

    ``upscalers`` maps names of models to what runs them; absent, those of the settings are
    loaded.

    Raises:
        SRNetError: a model of the settings does not exist, or no weights are there.
    """
    settings = Settings() if settings is None else settings
    service = Service(settings, load(settings) if upscalers is None else upscalers)
    line = Line(service)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        await service.start()
        await line.start()
        yield {METRICS: service.metrics}
        await service.close()
        await line.close()

    app = FastAPI(
        title="srnet",
        version=srnet.__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    app.state.jobs = Jobs(service, line)
    answers.install(app)
    app.include_router(routes_pictures.router)
    app.include_router(routes_jobs.router)
    app.include_router(routes_service.router)
    complete(app, keys=bool(settings.api_keys), hosts=bool(settings.hosts))
    if settings.cors_origins:
        app.add_middleware(Cors, origins=settings.cors_origins)
    app.add_middleware(Edge, service=service)
    return app


def load(settings: Settings) -> dict[str, Upscaler]:
    """The upscalers of the settings, which share one device; the default model comes first.

    Raises:
        SRNetError: an unknown model, or no weights at all.
    """
    names = list(settings.models) or sorted(
        weights.families(), key=lambda name: (name != weights.DEFAULT_FAMILY, name)
    )
    if not names:
        raise WeightsError(
            "no weights came with srnet: set SRNET_MODELS to the path of a .safetensors file"
        )
    turnstile = Turnstile()
    upscalers: dict[str, Upscaler] = {}
    for name in names:
        called = Path(name).stem if name.endswith(".safetensors") else name
        if called in upscalers:
            raise OptionError(f"SRNET_MODELS has {called} twice: give one of them another name")
        upscalers[called] = product.load(
            name,
            device=settings.device,
            precision=settings.precision,
            engine=settings.engine,
            turnstile=turnstile,
            tile=settings.tile,
        )
    return upscalers
