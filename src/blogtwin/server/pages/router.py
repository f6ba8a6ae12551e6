"""The addresses of the pages and of their static files."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

from blogtwin.server.pages.assets import assets, fingerprint, page

router = APIRouter(include_in_schema=False)

_FOR_EVER = "public, max-age=31536000, immutable"


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
