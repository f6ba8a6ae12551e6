"""/health: whether the service can do its work. For people, and for whatever restarts it."""

from __future__ import annotations

import shutil
from typing import Any

from fastapi import APIRouter, Response

from blogtwin import __version__
from blogtwin.errors import BlogtwinError
from blogtwin.server.refusals import RESPONSES
from blogtwin.server.schemas import Health, Part
from blogtwin.server.state import Here, Shared
from blogtwin.workspace import home

_LITTLE = 1 << 30  # bytes: a training writes checkpoints, and SQLite needs room to write at all

_ANSWERS: dict[int | str, dict[str, Any]] = {401: RESPONSES[401], 421: RESPONSES[421], 503: {"model": Health}}
router = APIRouter(tags=["service"])


@router.get("/health", responses=_ANSWERS)
def health(here: Here, response: Response) -> Health:
    """ok; degraded, when texts are written but something will soon be missing; failing (503) when they are not, or not kept."""
    database, runtime, disk = _database(here), _runtime(here), _disk()
    status = "failing" if not (database.ok and runtime.ok) else "ok" if disk.ok else "degraded"
    if status == "failing":
        response.status_code = 503
    return Health.model_validate(
        {"status": status, "version": __version__, "database": database, "runtime": runtime, "disk": disk}
    )


def _database(here: Shared) -> Part:
    try:
        here.database.check()
    except BlogtwinError as fault:
        return Part(ok=False, detail=fault.message)
    return Part(ok=True, detail="PostgreSQL" if here.settings.feedback.database_url else "SQLite")


def _runtime(here: Shared) -> Part:
    try:
        trouble = here.generation.speakers.trouble()
    except BlogtwinError as fault:
        trouble = fault.message
    return Part(ok=trouble is None, detail=trouble or "it answers")


def _disk() -> Part:
    there = home()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    return Part(ok=free > _LITTLE, detail=f"{free / 2**30:.1f} GiB free")
