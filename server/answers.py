"""Every error becomes a problem: what the routes, the library and the framework raise."""

from __future__ import annotations

import sqlite3

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from server.problems import Problem, answer, from_disk, from_error
from server.query import Wishes
from server.wording import SHOWN, sentence
from srnet.errors import SRNetError

_METHODS = ("GET", "POST", "PUT", "DELETE")


def install(app: FastAPI) -> None:
    """Make every error of ``app`` a problem."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(SRNetError, _on_srnet)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(OSError, _on_disk)
    app.add_exception_handler(sqlite3.Error, _on_disk)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return answer(error, request.scope)


async def _on_srnet(request: Request, error: Exception) -> Response:
    assert isinstance(error, SRNetError)
    return answer(from_error(error), request.scope)


async def _on_disk(request: Request, error: Exception) -> Response:
    problem = from_disk(error)
    if problem is None:
        raise error
    return answer(problem, request.scope)


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = [
        {"where": str(item["loc"][-1])[:SHOWN], "message": sentence(item, Wishes.model_fields)}
        for item in error.errors()
    ]
    detail = "; ".join(item["message"] for item in wrong[:5])
    return answer(Problem("bad-parameter", detail, more={"errors": wrong[:20]}), request.scope)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        problem = Problem("not-found", "There is nothing at this address; /docs lists what is.")
    elif error.status_code == 405:
        allowed = _methods(request)
        problem = Problem("method-not-allowed", f"Use {' or '.join(allowed)} here.")
        response = answer(problem, request.scope)
        response.headers["Allow"] = ", ".join(allowed)
        return response
    else:
        problem = Problem("malformed-request", "The request cannot be read.")
    return answer(problem, request.scope)


def _methods(request: Request) -> list[str]:
    """What the address of a request answers to: the router's own list is of one route only."""

    def answered(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    found = list(filter(answered, _METHODS))
    return ["GET", "HEAD", *found[1:]] if "GET" in found else found  # see server/edge.py
