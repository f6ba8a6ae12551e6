"""/api/feedback: what readers say of texts, how it stands, and all of it to take elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import StreamingResponse

from blogtwin.feedback.export import Form, written
from blogtwin.feedback.stats import Stats
from blogtwin.server import reviews
from blogtwin.server.refusals import RESPONSES
from blogtwin.server.schemas import FeedbackPage, FeedbackRequest
from blogtwin.server.state import Here
from blogtwin.server.threads import writing
from blogtwin.service_records import Feedback, Judgement

router = APIRouter(tags=["feedback"], responses=RESPONSES)
TwinQuery = Annotated[str | None, Query(max_length=64, description="a twin's name; empty: all of them")]
Days = Annotated[int | None, Query(ge=1, le=36_500, description="judged in the last so many days; empty: ever")]
RequestId = Annotated[str, Path(max_length=64, examples=["5f0c2f1d9f3b4a6e8d7c6b5a49382716"])]
_TOGETHER = 200  # pieces that are sent at once
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "the file",
        "content": {
            "application/json": {"schema": {"type": "array", "items": {"type": "object"}}},
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    }
}


@router.get("/api/feedback/stats")
def feedback_stats(here: Here, twin: TwinQuery = None, days: Days = None) -> Stats:
    """Totals, likes and dislikes, the like rate with its 95% interval (Wilson), by subject, version and day."""
    return here.store.stats(twin=twin, days=days)


@router.get("/api/feedback")
def list_feedback(
    here: Here,
    twin: TwinQuery = None,
    rating: Annotated[int | None, Query(ge=-1, le=1, description="-1: the dislikes to look at")] = None,
    version: Annotated[str | None, Query(max_length=140)] = None,
    before: Annotated[str | None, Query(max_length=120, description="the `next` of the page above")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> FeedbackPage:
    """Judgements, the newest first, a page at a time."""
    return reviews.page(here.database, twin, rating, version, before, limit)


@router.get("/api/feedback/export", response_class=StreamingResponse, responses=_FILE)
def export_feedback(
    here: Here,
    twin: TwinQuery = None,
    days: Days = None,
    limit: Annotated[int | None, Query(ge=1, description="the oldest so many")] = None,
    subject: Annotated[str | None, Query(max_length=200)] = None,
    format: Annotated[Form, Query(description="preference: pairs for DPO; json, jsonl: all that is known")] = "jsonl",
    unexported: Annotated[bool, Query(description="only what was never exported, or was judged again since")] = False,
) -> StreamingResponse:
    """All feedback as a file, streamed, oldest first. When it was read to its end, all of it counts as exported."""
    since = None if days is None else datetime.now(UTC) - timedelta(days=days)
    rows = here.store.export(twin=twin, since=since, subject=subject, limit=limit, unexported=unexported)
    pieces = _joined(written(rows, format))
    pieces = chain([next(pieces, "")], pieces)  # a database that is away is told as such, before anything is sent
    kind = "application/json" if format == "json" else "application/x-ndjson"
    name = f"feedback-{format}.{'json' if format == 'json' else 'jsonl'}"
    return StreamingResponse(pieces, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


@router.post("/api/feedback/{request_id}")
async def judge(request_id: RequestId, said: FeedbackRequest, here: Here) -> Feedback:
    """Say what you think of a text, in one go or bit by bit. It is on disk when this is answered.

    Saying the same twice changes nothing. A text can be judged for a quarter of an hour (feedback.context_minutes); once it has
    been, for ever.
    """
    await here.generation.settled(request_id)
    return await writing(here.store.judge, request_id, Judgement(**said.model_dump()))


def _joined(pieces: Iterator[str]) -> Iterator[str]:
    """The same, many at once: each takes the way through a thread."""
    while some := "".join(islice(pieces, _TOGETHER)):
        yield some
