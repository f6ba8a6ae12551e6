"""How the feedback stands: counts, and the like rate with its interval. In: the rows to count. Out: one Stats."""

from __future__ import annotations

from math import sqrt
from typing import Any

from pydantic import Field
from sqlalchemy import ColumnElement, Connection, case, desc, func, select

from blogtwin.feedback.tables import contexts, exported, feedback
from blogtwin.records import Record

_Z = 1.959964  # standard deviations that hold 95% of a normal distribution
_NAMES = 100  # subjects and versions that are listed, the most judged first


class Tally(Record):
    """What was said of the texts of one subject, version or day. like_rate: likes among likes and dislikes, and where it
    lies with 95% confidence; None where nobody said either."""

    name: str
    total: int = 0
    likes: int = 0
    dislikes: int = 0
    like_rate: float | None = None
    low: float | None = None
    high: float | None = None


class Stats(Tally):
    """All feedback that was counted, and its parts. contexts: texts that can still be judged. Days are those of UTC."""

    edited: int = 0
    chosen: int = 0
    approved: int = 0
    unexported: int = 0
    unlearned: int = 0
    contexts: int = 0
    by_subject: tuple[Tally, ...] = Field(default=(), description="the most judged first")
    by_version: tuple[Tally, ...] = Field(default=(), description="the most judged first")
    by_day: tuple[Tally, ...] = Field(default=(), description="oldest first")


def wilson(likes: int, total: int) -> tuple[float, float]:
    """Where a share of `likes` in `total` (> 0) lies with 95% confidence. Wilson, 1927, JASA 22(158)."""
    share, spread = likes / total, _Z * _Z / total
    middle = (share + spread / 2) / (1 + spread)
    half = _Z * sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def count(connection: Connection, wanted: list[ColumnElement[bool]], twin: str | None) -> Stats:
    """Count the rows that are `wanted`; contexts are those of `twin` (None: of all)."""
    whole = connection.execute(
        select(
            *_COUNTS,
            func.count(feedback.c.chosen).label("chosen"),
            _sum(feedback.c.approved).label("approved"),
            _sum(feedback.c.learned_by.is_(None)).label("unlearned"),
        ).where(*wanted)
    ).one()
    # Each for itself, as no one index has all of it; see tables.py.
    edited = select(func.count()).select_from(feedback).where(*wanted, feedback.c.edited_text.is_not(None))
    was_exported = select(func.count()).select_from(feedback.join(exported)).where(*wanted)
    waiting = select(func.count()).select_from(contexts).where(*([] if twin is None else [contexts.c.twin == twin]))
    day = func.date(feedback.c.judged_at)
    if connection.dialect.name == "postgresql":
        day = func.to_char(func.timezone("UTC", feedback.c.judged_at), "YYYY-MM-DD")
    parts = {
        f"by_{name}": tuple(
            Tally(name=row.name, **_rates(row))
            for row in connection.execute(
                select(column.label("name"), *_COUNTS).where(*wanted).group_by("name").order_by(*order).limit(limit)
            )
        )
        for name, column, order, limit in (
            ("subject", feedback.c.subject, (desc("total"), "name"), _NAMES),
            ("version", feedback.c.version, (desc("total"), "name"), _NAMES),
            ("day", day, ("name",), None),
        )
    }
    own = {name: int(getattr(whole, name) or 0) for name in ("chosen", "approved", "unlearned")}
    own["edited"] = connection.execute(edited).scalar() or 0
    own["unexported"] = whole.total - (connection.execute(was_exported).scalar() or 0)
    return Stats(name=twin or "", **_rates(whole), **own, contexts=connection.execute(waiting).scalar() or 0, **parts)


def _rates(row: Any) -> dict[str, float | None]:
    likes, dislikes = int(row.likes or 0), int(row.dislikes or 0)
    low, high = wilson(likes, likes + dislikes) if likes + dislikes else (None, None)
    rate = likes / (likes + dislikes) if likes + dislikes else None
    return {"total": row.total, "likes": likes, "dislikes": dislikes, "like_rate": rate, "low": low, "high": high}


def _sum(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


_COUNTS = (
    func.count().label("total"),
    _sum(feedback.c.rating > 0).label("likes"),
    _sum(feedback.c.rating < 0).label("dislikes"),
)
