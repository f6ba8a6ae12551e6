"""Feedback, taken out of the database row by row, as much of it as there is; and what of it then counts as exported.

In: which rows. Out: those rows, oldest draft first, in constant memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, literal, or_, select

from blogtwin.feedback.database import Database
from blogtwin.feedback.inserting import ignoring
from blogtwin.feedback.tables import Moment, exported, feedback
from blogtwin.service_records import Feedback

PAGE = 500  # rows that are held at a time
ROWS = select(feedback, exported.c.exported_at).select_from(feedback.outerjoin(exported))


class Export:
    """Rows to be taken once, and then finished: only then do they count as exported, all of them in one transaction.

    A reader that breaks off has exported nothing. A row that is judged again meanwhile stays unexported, and so comes again:
    nothing is left out, and a row that came twice has the same id. No lock is held while the rows are read. taken: rows so far.
    """

    def __init__(self, database: Database, wanted: list[ColumnElement[bool]], limit: int | None) -> None:
        self._database = database
        self._wanted = wanted
        self._limit = limit
        self._began = datetime.now(UTC)
        self._last: Feedback | None = None
        self.taken = 0

    def __iter__(self) -> Iterator[Feedback]:
        for row in paged(self._database, self._wanted, self._limit):
            self._last, self.taken = row, self.taken + 1
            yield row

    def finish(self) -> None:
        """Let what was taken count as exported, since now or since the first time. Raises StoreError."""
        if self._last is None:
            return
        last = self._last
        taken = [
            *self._wanted,
            feedback.c.judged_at <= self._began,
            feedback.c.created_at <= last.created_at,
            or_(feedback.c.created_at < last.created_at, feedback.c.id <= last.id),
        ]
        moment = literal(self._began, Moment)
        marks = select(feedback.c.id, moment).select_from(feedback.outerjoin(exported)).where(*taken)

        def mark(connection: Connection) -> None:
            connection.execute(ignoring(connection, exported).from_select(["id", "exported_at"], marks))

        self._database.write(mark)


def paged(database: Database, wanted: list[ColumnElement[bool]], limit: int | None) -> Iterator[Feedback]:
    """The rows for which all of `wanted` holds; each page is a reading of its own, so that a slow reader holds nothing."""
    last: Feedback | None = None
    left = limit
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        page = _page(database, wanted, last, size)
        yield from page
        if len(page) < size:
            return
        last = page[-1]
        left = None if left is None else left - size


def _page(database: Database, wanted: list[ColumnElement[bool]], last: Feedback | None, size: int) -> list[Feedback]:
    """The rows after `last`. The condition is written so that SQLite, too, goes to their place in the index at once."""
    after: list[ColumnElement[bool]] = []
    if last is not None:
        after.append(feedback.c.created_at >= last.created_at)
        after.append(or_(feedback.c.created_at > last.created_at, feedback.c.id > last.id))
    query = ROWS.where(*wanted, *after).order_by(feedback.c.created_at, feedback.c.id).limit(size)
    return database.read(
        lambda connection: [Feedback.model_validate(dict(row)) for row in connection.execute(query).mappings()]
    )
