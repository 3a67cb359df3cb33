"""``create_app``: the routes, their errors and the life of the service, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.datastructures import Headers
from starlette.responses import Response

import srnet
from server import answers, routes_jobs, routes_pictures, routes_service
from server.edge import Edge
from server.jobs import Jobs
from server.line import Line
from server.openapi import complete
from server.problems import Problem
from server.service import Service
from server.settings import Settings
from srnet import product, weights
from srnet.engine import Turnstile
from srnet.errors import WeightsError
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
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        await line.start()
        yield
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
        _let_in(app, settings.cors_origins)
    app.add_middleware(Edge, service=service)
    return app


class _Cors(CORSMiddleware):
    def preflight_response(self, request_headers: Headers) -> Response:
        """What a browser asks beforehand; a refusal is a problem like any other."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        if not self.is_allowed_origin(request_headers["origin"]):
            detail = "Pages of this origin may not use the service: see SRNET_CORS_ORIGINS."
            raise Problem("forbidden-origin", detail)
        detail = f"Scripts may use {', '.join(self.allow_methods)} here, and no private network."
        raise Problem("malformed-request", detail)


def _let_in(app: FastAPI, origins: tuple[str, ...]) -> None:
    """Scripts of other web origins may call, and read every header."""
    app.add_middleware(
        _Cors,
        allow_origins=origins,
        allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
        allow_headers=["*"],
        expose_headers=["*"],
    )


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
    return {
        Path(name).stem if name.endswith(".safetensors") else name: product.load(
            name,
            device=settings.device,
            precision=settings.precision,
            engine=settings.engine,
            turnstile=turnstile,
            tile=settings.tile,
        )
        for name in names
    }
