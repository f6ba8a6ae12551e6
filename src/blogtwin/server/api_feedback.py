"""/api/feedback: what readers say of texts, how it stands, and all of it to take elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Path, Query

from blogtwin.feedback.stats import Stats
from blogtwin.server import reviews
from blogtwin.server.refusals import RESPONSES
from blogtwin.server.schemas import FeedbackPage, FeedbackRequest
from blogtwin.server.state import Here
from blogtwin.service_records import Feedback, Judgement, Rating

router = APIRouter(tags=["feedback"], responses=RESPONSES)
TwinQuery = Annotated[str | None, Query(max_length=64, description="a twin's name; empty: all of them")]
Days = Annotated[int | None, Query(ge=1, le=36_500, description="judged in the last so many days; empty: ever")]
RequestId = Annotated[str, Path(max_length=64, examples=["5f0c2f1d9f3b4a6e8d7c6b5a49382716"])]


@router.get("/api/feedback/stats")
def stats(here: Here, twin: TwinQuery = None, days: Days = None) -> Stats:
    """Totals, likes and dislikes, the like rate with its 95% interval (Wilson), by subject, version and day."""
    return here.store.stats(twin=twin, days=days)


@router.get("/api/feedback")
def recent(
    here: Here,
    twin: TwinQuery = None,
    rating: Annotated[Rating | None, Query(description="-1: the dislikes to look at")] = None,
    version: Annotated[str | None, Query(max_length=140)] = None,
    before: Annotated[str | None, Query(max_length=120, description="the `next` of the page above")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> FeedbackPage:
    """Judgements, the newest first, a page at a time."""
    return reviews.page(here.database, twin, rating, version, before, limit)


@router.post("/api/feedback/{request_id}")
async def judge(request_id: RequestId, said: FeedbackRequest, here: Here) -> Feedback:
    """Say what you think of a text, in one go or bit by bit. It is on disk when this is answered.

    Saying the same twice changes nothing. A text can be judged for a quarter of an hour (feedback.context_minutes); once it has
    been, for ever.
    """
    await here.generation.settled(request_id)
    return await anyio.to_thread.run_sync(here.store.judge, request_id, Judgement(**said.model_dump()))


def since(days: int | None) -> datetime | None:
    """The moment so many days ago."""
    return None if days is None else datetime.now(UTC) - timedelta(days=days)
