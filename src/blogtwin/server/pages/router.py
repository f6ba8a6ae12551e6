"""The addresses of the pages and of their static files."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse

from blogtwin.errors import InputError
from blogtwin.server.pages.assets import assets, fingerprint, page
from blogtwin.server.state import Here

router = APIRouter(include_in_schema=False)

_FOR_EVER = "public, max-age=31536000, immutable"
# The report is one file with its styles inside; it may have those, and nothing that runs or asks.
_REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox allow-popups"
)


@router.get("/", response_class=HTMLResponse)
def write() -> HTMLResponse:
    """Where one writes."""
    return _page("write")


@router.get("/quiz", response_class=HTMLResponse)
def quiz() -> HTMLResponse:
    """“Which one is me?”"""
    return _page("quiz")


@router.get("/dashboard", response_class=HTMLResponse)
def dashboard() -> HTMLResponse:
    """What readers said, and what became of it."""
    return _page("dashboard")


@router.get("/report", response_class=HTMLResponse)
def report(here: Here, twin: Annotated[str | None, Query(max_length=64)] = None) -> HTMLResponse:
    """The last evaluation's report of a twin. Raises InputError where there is none."""
    file = here.twins.workspace(here.twins.named(twin)).report.with_suffix(".html")
    if not file.is_file():
        raise InputError("this twin has not been evaluated yet", "evaluate it: blogtwin evaluate")
    headers = {"Content-Security-Policy": _REPORT_POLICY, "Cache-Control": "no-cache"}
    return HTMLResponse(file.read_text(encoding="utf-8"), headers=headers)


@router.get("/static/{version}/{name}")
def static(version: str, name: str, request: Request) -> Response:
    """One file of the page. An address of an earlier version answers too, without being kept by the browser."""
    asset = assets().get(name)
    if asset is None:
        raise HTTPException(404)
    tag = f'"{fingerprint()}"'
    kept = _FOR_EVER if version == fingerprint() else "no-cache"
    headers = {"Cache-Control": kept, "ETag": tag}
    if request.headers.get("If-None-Match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(asset.content, media_type=asset.media_type, headers=headers)


def _page(name: str) -> HTMLResponse:
    return HTMLResponse(page(name), headers={"Cache-Control": "no-cache"})
