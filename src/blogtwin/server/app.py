"""The application: the page and the API on one port. In: settings and the folder of work. Out: a FastAPI application.

What its routes share is told in state.py; who may ask, in security.py.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI
from fastapi.routing import APIRoute

from blogtwin import __version__
from blogtwin.config import Settings
from blogtwin.errors import UsageError
from blogtwin.feedback.database import Database
from blogtwin.feedback.store import Store
from blogtwin.feedback.versions import Versions
from blogtwin.server import (
    api_docs,
    api_feedback,
    api_generate,
    api_jobs,
    api_quiz,
    api_report,
    api_twins,
    health,
    openai_api,
    refusals,
)
from blogtwin.server.generation import Asking
from blogtwin.server.jobs import Jobs
from blogtwin.server.limits import Limits
from blogtwin.server.pages.router import router as pages
from blogtwin.server.security import Guard, on_loopback
from blogtwin.server.speakers import Speakers
from blogtwin.server.topics import Topics
from blogtwin.server.twins import Twins
from blogtwin.server.upkeep import Upkeep
from blogtwin.workspace import Workspace

_TAGS = [
    {"name": "writing", "description": "Texts by a twin, and what to do with them."},
    {"name": "feedback", "description": "What readers say of texts: the twin learns from it."},
    {"name": "models", "description": "Twins, their versions, and what they were trained on."},
    {"name": "training", "description": "The next version, made of feedback."},
    {"name": "quiz", "description": "Which passage is the author's, found blindly."},
    {"name": "OpenAI", "description": "The same twin for editors and clients that speak OpenAI's API."},
    {"name": "service", "description": "Whether it can do its work."},
]


def create_app(
    settings: Settings, workspace: Workspace, database: Database | None = None, config: Path | None = None
) -> FastAPI:
    """The application, its database opened (None: the settings'), nothing else begun before it is served.

    config: the file that the settings are from, where it is not the one in this folder: trainings read it too.
    Raises StoreError when the database cannot be used, UsageError for an address that others can reach without a token.
    """
    if not on_loopback(settings.server.host) and not settings.server.token:
        raise UsageError(
            f"others can reach {settings.server.host}, and no token is set",
            "set BLOGTWIN_SERVER_TOKEN, or serve this machine alone: --host 127.0.0.1",
        )
    own = database is None
    database = database or Database.open(settings.feedback.database_url)
    app = FastAPI(
        title="Blogtwin",
        version=__version__,
        summary="A local model that writes like you, and learns from what you say of it.",
        openapi_tags=_TAGS,
        docs_url=None,  # both fetch scripts from elsewhere; see api_docs.py
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        lifespan=_lifespan,
        generate_unique_id_function=_operation,
    )
    retention = settings.feedback.retention_days
    state = app.state
    state.settings, state.workspace, state.database = settings, workspace, database
    state.close_database = database.close if own else None
    state.store = Store(
        database,
        timedelta(minutes=settings.feedback.context_minutes),
        None if retention is None else timedelta(days=retention),
    )
    state.versions = Versions(database)
    state.twins = Twins(settings, workspace, database, state.versions)
    state.topics = Topics(state.twins)
    state.generation = Asking(state.store, state.twins, Speakers(settings, state.twins, state.versions), state.topics)
    state.limits = Limits(settings.server.per_minute)
    state.jobs = Jobs(database, settings, config)
    state.upkeep = Upkeep(state.store, state.versions, state.twins, state.generation.speakers.load)
    for part in (api_generate, api_feedback, api_twins, api_jobs, api_quiz, api_report, openai_api, health, api_docs):
        app.include_router(part.router)
    app.include_router(pages)
    refusals.add_to(app)
    app.add_middleware(
        Guard,
        names=[*settings.server.names, *([] if on_loopback(settings.server.host) else [settings.server.host])],
        token=settings.server.token,
        most=settings.server.max_request_kb * 1024,
    )
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """From the first request to the last: trainings are followed, and memory that nobody needs is given back."""
    state = app.state
    await asyncio.to_thread(state.jobs.start)
    state.upkeep.start()
    idle = asyncio.create_task(_give_back(state.generation.speakers.release, state.settings.server.idle_minutes * 60))
    try:
        yield
    finally:
        idle.cancel()
        await state.generation.close()
        await asyncio.to_thread(state.upkeep.close)
        await asyncio.to_thread(state.jobs.close)
        if state.close_database:
            await asyncio.to_thread(state.close_database)


async def _give_back(release: Callable[[float], None], idle: float) -> None:
    while True:
        await asyncio.sleep(min(idle, 30.0))
        await asyncio.to_thread(release, idle)


def _operation(route: APIRoute) -> str:
    """The name of an operation in the schema: that of its function."""
    return route.name
