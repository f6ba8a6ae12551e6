"""Judgements for a person to look through: the newest first, a page at a time. In: what to show. Out: a FeedbackPage."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, or_, select

from blogtwin.errors import UsageError
from blogtwin.feedback.database import Database
from blogtwin.feedback.tables import feedback
from blogtwin.server.schemas import FeedbackPage
from blogtwin.service_records import Feedback


def page(
    database: Database, twin: str | None, rating: int | None, version: str | None, before: str | None, limit: int
) -> FeedbackPage:
    """before: the `next` of the page above. Raises UsageError for one that never was, StoreError."""
    wanted = [] if twin is None else [feedback.c.twin == twin]
    wanted += [] if rating is None else [feedback.c.rating == rating]
    wanted += [] if version is None else [feedback.c.version == version]
    if before is not None:
        at, name = _place(before)
        wanted.append(or_(feedback.c.judged_at < at, and_(feedback.c.judged_at == at, feedback.c.id < name)))
    query = select(feedback).where(*wanted).order_by(feedback.c.judged_at.desc(), feedback.c.id.desc()).limit(limit + 1)
    found = database.read(
        lambda connection: [Feedback.model_validate(dict(row)) for row in connection.execute(query).mappings()]
    )
    more, rows = len(found) > limit, found[:limit]
    return FeedbackPage(rows=tuple(rows), next=f"{rows[-1].judged_at.isoformat()}_{rows[-1].id}" if more else None)


def _place(before: str) -> tuple[datetime, str]:
    when, _, name = before.partition("_")
    try:
        at = datetime.fromisoformat(when)
        if at.tzinfo is None:
            raise ValueError
        return at.astimezone(), name
    except (ValueError, OverflowError) as fault:
        raise UsageError("`before` is not the `next` of a page", "leave it out to begin with the newest") from fault
