"""What readers preferred: texts that can be judged for a while, and what was said of those that were.

In: generations, judgements, imported rows. Out: feedback, oldest first. Nobody who wrote or judged is named anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Table,
    bindparam,
    delete,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from blogtwin.errors import UnknownRequest
from blogtwin.feedback import judging, stats
from blogtwin.feedback.database import Database
from blogtwin.feedback.stats import Stats
from blogtwin.feedback.tables import Moment, contexts, exported, feedback
from blogtwin.service_records import Feedback, Generation, Judgement

PAGE = 500  # rows that are held at a time
_MANY = 500  # ids in one statement
_TIDIED_EVERY = 60.0  # seconds

_ONE: BindParameter[str] = bindparam("one")
_ROWS = select(feedback, exported.c.exported_at).select_from(feedback.outerjoin(exported))
_FIND = _ROWS.where(feedback.c.id == _ONE)
_FIND_TO_CHANGE = _FIND.with_for_update(of=feedback)
_CONTEXT = select(contexts.c.generation, contexts.c.created_at).where(contexts.c.id == _ONE).with_for_update()
_FORGET_CONTEXT = delete(contexts).where(contexts.c.id == _ONE)
_INSERT = insert(feedback)
_UNEXPORT = delete(exported).where(exported.c.id == _ONE)
_CHANGE = update(feedback).where(feedback.c.id == _ONE)


class Store:
    """Feedback in a database, for any number of threads and programs.

    context_life: how long a text that nobody judged is remembered.
    retention: how long feedback is kept; None: until it is deleted.
    """

    def __init__(self, database: Database, context_life: timedelta, retention: timedelta | None = None) -> None:
        self._database = database
        self._context_life = context_life
        self._retention = retention
        self._tidied = 0.0

    def remember(self, generation: Generation) -> None:
        """Keep what was drafted until it is judged or its time is over; doing it again changes nothing."""
        generation = judging.plain(generation)
        row = {
            "id": generation.id,
            "twin": generation.twin,
            "generation": generation.model_dump(mode="json"),
            "created_at": generation.created_at,
        }
        self._database.write(lambda connection: connection.execute(_ignoring(connection, contexts), row))
        if time.monotonic() - self._tidied > _TIDIED_EVERY:
            self._tidied = time.monotonic()
            self.expire(datetime.now(UTC))

    def judge(self, id: str, judgement: Judgement) -> Feedback:
        """Add to what was said of `id`; what is now known of it. Saying the same again changes nothing.

        The first judgement moves the text into the feedback; any change makes it unexported and unlearned again.
        Raises UnknownRequest; InputError for a judgement that says nothing, or that chose a draft that there is not.
        """
        judgement = judging.plain(judgement)
        judging.check(judgement)

        def work(connection: Connection) -> Feedback:
            now = datetime.now(UTC)
            before = _one(connection, id)
            if before is None and (generation := self._taken(connection, id, now)) is not None:
                row = judging.first(generation, judgement, now)
                connection.execute(_INSERT, values(row))
                return row
            # Another's first judgement may have taken the text while PostgreSQL let this one wait for it.
            before = before or _one(connection, id)
            if before is None:
                raise UnknownRequest(
                    f"the text {id[:80]!r} is remembered no more, or never was",
                    "a text can be judged for a while after it was written: feedback.context_minutes",
                )
            row = judging.merged(before, judgement, now)
            if row != before:
                connection.execute(_CHANGE, {"one": id, **values(row)})
                connection.execute(_UNEXPORT, {"one": id})
            return row

        return self._database.write(work)

    def find(self, id: str) -> Feedback | None:
        """What is known of `id`; None when it was not judged."""
        found = self._database.read(lambda connection: connection.execute(_FIND, {"one": id}).mappings().first())
        return None if found is None else Feedback.model_validate(dict(found))

    def rows(
        self,
        twin: str | None = None,
        since: datetime | None = None,
        subject: str | None = None,
        limit: int | None = None,
        unexported: bool = False,
        unlearned: bool = False,
    ) -> Iterator[Feedback]:
        """Feedback judged at or after `since`, oldest draft first, each row once.

        Taken in pages, so that a slow reader holds nothing; a row that is judged again meanwhile comes as its page found it.
        """
        wanted = conditions(twin, since, subject, unexported, unlearned)
        yield from self._paged(wanted, limit)

    def export(
        self,
        twin: str | None = None,
        since: datetime | None = None,
        subject: str | None = None,
        limit: int | None = None,
        unexported: bool = False,
        unlearned: bool = False,
    ) -> Iterator[Feedback]:
        """As `rows`; when the last was taken, all of them count as exported, in one transaction.

        A reader that breaks off has exported nothing. A row that is judged again meanwhile stays unexported, and so comes again:
        nothing is left out, and a row that came twice has the same id.
        """
        began = datetime.now(UTC)
        wanted = conditions(twin, since, subject, unexported, unlearned)
        last = None
        for last in self._paged(wanted, limit):
            yield last
        if last is None:
            return
        taken = [
            *wanted,
            feedback.c.judged_at <= began,
            feedback.c.created_at <= last.created_at,
            or_(feedback.c.created_at < last.created_at, feedback.c.id <= last.id),
        ]
        marks = select(feedback.c.id, literal(began, Moment)).select_from(feedback.outerjoin(exported)).where(*taken)

        def mark(connection: Connection) -> None:
            connection.execute(_ignoring(connection, exported).from_select(["id", "exported_at"], marks))

        self._database.write(mark)

    def add(self, rows: Iterable[Feedback]) -> int:
        """Store rows that were exported elsewhere; one whose id is there stays as it is. Returns how many were new."""
        new, source = 0, iter(rows)
        while page := [values(judging.plain(row)) for row in islice(source, PAGE)]:
            new += self._database.write(lambda connection, page=page: _added(connection, page))  # type: ignore[misc]
        return new

    def learned(self, connection: Connection, ids: Iterable[str], version: str, until: datetime | None = None) -> None:
        """Let `ids` count as learned by `version`, in the caller's transaction.

        until: when they were read; what was judged again since then has not been learned and is left as it is.
        """
        source = iter(ids)
        while some := list(islice(source, _MANY)):
            chosen = update(feedback).where(feedback.c.id.in_(some))
            if until is not None:
                chosen = chosen.where(feedback.c.judged_at <= until)
            connection.execute(chosen, {"learned_by": version})

    def forget(self, ids: Iterable[str] | None = None, twin: str | None = None, before: datetime | None = None) -> int:
        """Delete feedback, and texts not yet judged; returns how many rows of feedback went.

        Those of `ids`, of `twin`, drafted before `before`: all that is given must hold; nothing given: everything.
        In SQLite's file, what is deleted is overwritten.
        """
        named = None if ids is None else list(ids)
        parts = [named[start : start + _MANY] for start in range(0, len(named), _MANY)] if named is not None else [None]

        def work(connection: Connection) -> int:
            gone = 0
            for part in parts:
                for table in (contexts, feedback):
                    which: list[ColumnElement[bool]] = [] if part is None else [table.c.id.in_(part)]
                    which += [] if twin is None else [table.c.twin == twin]
                    which += [] if before is None else [table.c.created_at < before]
                    count = connection.execute(delete(table).where(*which)).rowcount
                    gone += count if table is feedback else 0
            return gone

        gone = self._database.write(work)
        self._database.compact()
        return gone

    def expire(self, now: datetime) -> int:
        """Delete texts whose time to be judged is over, and feedback past its retention; returns how many rows of the latter."""

        def work(connection: Connection) -> int:
            connection.execute(delete(contexts).where(contexts.c.created_at < now - self._context_life))
            if self._retention is None:
                return 0
            return connection.execute(delete(feedback).where(feedback.c.created_at < now - self._retention)).rowcount

        return self._database.write(work)

    def stats(self, twin: str | None = None, days: int | None = None) -> Stats:
        """Counts of the feedback of `twin` (None: of all) that was judged in the last `days`."""
        since = None if days is None else datetime.now(UTC) - timedelta(days=min(days, 36_500))
        return self._database.read(lambda connection: stats.count(connection, conditions(twin, since), twin))

    def _taken(self, connection: Connection, id: str, now: datetime) -> Generation | None:
        """The text that waits for its judgement, which it now has."""
        found = connection.execute(_CONTEXT, {"one": id}).first()
        if found is None or found.created_at < now - self._context_life:
            return None
        connection.execute(_FORGET_CONTEXT, {"one": id})
        return Generation.model_validate(found.generation)

    def _paged(self, wanted: list[ColumnElement[bool]], limit: int | None) -> Iterator[Feedback]:
        last: Feedback | None = None
        left = limit
        while left is None or left > 0:
            page = self._page(wanted, last, PAGE if left is None else min(PAGE, left))
            yield from page
            if len(page) < PAGE:
                return
            last = page[-1]
            left = None if left is None else left - len(page)

    def _page(self, wanted: list[ColumnElement[bool]], last: Feedback | None, size: int) -> list[Feedback]:
        """The rows after `last`. The condition is written so that SQLite, too, goes to their place in the index at once."""
        after = (
            []
            if last is None
            else [
                feedback.c.created_at >= last.created_at,
                or_(feedback.c.created_at > last.created_at, feedback.c.id > last.id),
            ]
        )
        query = _ROWS.where(*wanted, *after).order_by(feedback.c.created_at, feedback.c.id).limit(size)
        return self._database.read(
            lambda connection: [Feedback.model_validate(dict(row)) for row in connection.execute(query).mappings()]
        )


def conditions(
    twin: str | None = None,
    since: datetime | None = None,
    subject: str | None = None,
    unexported: bool = False,
    unlearned: bool = False,
) -> list[ColumnElement[bool]]:
    """What must hold for a row to be wanted; all of it."""
    wanted: list[ColumnElement[bool]] = []
    if twin is not None:
        wanted.append(feedback.c.twin == twin)
    if since is not None:
        wanted.append(feedback.c.judged_at >= since)
    if subject is not None:
        wanted.append(feedback.c.subject == subject)
    if unexported:
        wanted.append(exported.c.id.is_(None))
    if unlearned:
        wanted.append(feedback.c.learned_by.is_(None))
    return wanted


def values(row: Feedback) -> dict[str, Any]:
    """The columns of a row."""
    return row.model_dump(exclude={"exported_at"})


def _one(connection: Connection, id: str) -> Feedback | None:
    """The row, which nobody else changes until the transaction has ended."""
    found = connection.execute(_FIND_TO_CHANGE, {"one": id}).mappings().first()
    return None if found is None else Feedback.model_validate(dict(found))


def _added(connection: Connection, rows: list[dict[str, Any]]) -> int:
    return len(connection.execute(_ignoring(connection, feedback).returning(feedback.c.id), rows).all())


def _ignoring(connection: Connection, table: Table) -> Any:
    """An insert that leaves a row alone whose id is there."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table).on_conflict_do_nothing(index_elements=["id"])
