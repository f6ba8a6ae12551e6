"""What goes wrong → an answer that says it: {error, hint}, with a status that tells whose turn it is.

Under /v1, where clients of OpenAI's API read it, the same in the form of that API.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from blogtwin.errors import (
    BlogtwinError,
    InputError,
    ModelError,
    OutputError,
    ProofFailed,
    RuntimeUnavailable,
    StoreError,
    UnknownRequest,
    UsageError,
)
from blogtwin.server.limits import TooMany
from blogtwin.server.schemas import Trouble

# The first that fits.
_STATUS: Sequence[tuple[type[BlogtwinError], int]] = (
    (TooMany, 429),
    (UnknownRequest, 404),
    (UsageError, 400),
    (InputError, 404),
    (ProofFailed, 409),
    (OutputError, 507),
    (ModelError, 503),
    (RuntimeUnavailable, 503),
    (StoreError, 503),
    (BlogtwinError, 400),
)
RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": Trouble, "description": "what was asked cannot be"},
    401: {"model": Trouble, "description": "the token is missing or wrong"},
    403: {"model": Trouble, "description": "another site asked"},
    404: {"model": Trouble, "description": "there is no such thing"},
    413: {"model": Trouble, "description": "the request is too large"},
    421: {"model": Trouble, "description": "the name in Host is none of this server's"},
    422: {"model": Trouble, "description": "a field is not what it should be"},
    429: {"model": Trouble, "description": "too many texts in a minute; see Retry-After"},
    503: {"model": Trouble, "description": "the runtime or the database does not serve"},
}


def add_to(app: FastAPI) -> None:
    """Let every failure be answered in this form."""
    app.add_exception_handler(BlogtwinError, _known)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _bug)


def status_of(fault: BlogtwinError) -> int:
    """The HTTP status that fits."""
    return next(status for kind, status in _STATUS if isinstance(fault, kind))


def refusal(path: str, status: int, error: str, hint: str = "", headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer itself."""
    body: dict[str, Any] = {"error": error, "hint": hint}
    if path.startswith("/v1/"):
        kind = "invalid_request_error" if status < 500 else "server_error"
        message = f"{error} ({hint})" if hint else error
        body = {"error": {"message": message, "type": kind, "param": None, "code": None}}
    return JSONResponse(body, status, headers)


async def _known(request: Request, fault: Exception) -> JSONResponse:
    assert isinstance(fault, BlogtwinError)
    headers = {"Retry-After": str(math.ceil(fault.wait))} if isinstance(fault, TooMany) else None
    return refusal(request.url.path, status_of(fault), fault.message, fault.hint, headers)


async def _invalid(request: Request, fault: Exception) -> JSONResponse:
    """Names the field and the fact; what was sent is not repeated, as it may be long or private."""
    assert isinstance(fault, RequestValidationError)
    first = fault.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    wrong = str(first["msg"]).removeprefix("Value error, ")
    return refusal(request.url.path, 422, f"{place}: {wrong}" if place else wrong, "see /openapi.json")


async def _http(request: Request, fault: Exception) -> JSONResponse:
    assert isinstance(fault, HTTPException)
    headers = dict(fault.headers) if fault.headers else None
    phrase = HTTPStatus(fault.status_code).phrase
    told = "" if fault.detail == phrase else str(fault.detail)
    where = f"{request.method} {request.url.path}: {phrase.lower()}"
    hint = "see /openapi.json" if fault.status_code in (404, 405) else ""
    return refusal(request.url.path, fault.status_code, told or where, hint, headers)


async def _gone(request: Request, fault: Exception) -> Response:
    """Nobody reads this: whoever asked has left, and what they asked for was stopped."""
    return Response(status_code=499)


async def _bug(request: Request, fault: Exception) -> JSONResponse:
    """The traceback is in the log: what is answered here is raised again for it."""
    hint = "this is a fault of blogtwin itself; the server's log has the details"
    return refusal(request.url.path, 500, "the server failed", hint)
