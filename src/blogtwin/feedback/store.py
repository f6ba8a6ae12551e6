"""What readers preferred: texts that can be judged for a while, and what was said of those that were.

In: generations, judgements, imported rows. Out: feedback, oldest first. Nobody who wrote or judged is named anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypedDict, Unpack

from sqlalchemy import BindParameter, ColumnElement, Connection, bindparam, delete, select, update

from blogtwin.errors import UnknownRequest
from blogtwin.feedback import judging, stats
from blogtwin.feedback.database import Database
from blogtwin.feedback.inserting import ignoring, newer
from blogtwin.feedback.stats import Stats
from blogtwin.feedback.tables import contexts, exported, feedback, versions
from blogtwin.feedback.taking import PAGE, ROWS, Export, paged
from blogtwin.service_records import Feedback, Generation, Judgement

_MANY = 500  # ids in one statement
_TIDIED_EVERY = 60.0  # seconds

_ONE: BindParameter[str] = bindparam("one")
_FIND = ROWS.where(feedback.c.id == _ONE)
_FIND_TO_CHANGE = _FIND.with_for_update(of=feedback)
_TAKE_CONTEXT = delete(contexts).where(contexts.c.id == _ONE).returning(contexts.c.generation, contexts.c.created_at)
_UNEXPORT = delete(exported).where(exported.c.id == _ONE)
_CHANGE = update(feedback).where(feedback.c.id == _ONE)


class Wanted(TypedDict, total=False):
    """Which feedback: of one twin (None: of all), judged at or after `since`, of one subject, not exported or learned yet."""

    twin: str | None
    since: datetime | None
    subject: str | None
    unexported: bool
    unlearned: bool


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
        self._database.write(lambda connection: connection.execute(ignoring(connection, contexts), row))
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
            if (generation := self._taken(connection, id, now)) is not None:
                row = judging.first(generation, judgement, now)
                new = ignoring(connection, feedback).returning(feedback.c.id)
                if connection.execute(new, values(row)).first() is not None:  # an import may have brought it
                    return row
            before = _one(connection, id)
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

    def newest(self, twin: str) -> datetime | None:
        """When a text of `twin` was judged last."""
        last = (
            select(feedback.c.judged_at).where(feedback.c.twin == twin).order_by(feedback.c.judged_at.desc()).limit(1)
        )
        return self._database.read(lambda connection: connection.execute(last).scalar())

    def rows(self, limit: int | None = None, **wanted: Unpack[Wanted]) -> Iterator[Feedback]:
        """Feedback that is wanted, oldest draft first, each row once, `limit` at most.

        Taken in pages, so that a slow reader holds nothing; a row that is judged again meanwhile comes as its page found it.
        """
        yield from paged(self._database, conditions(**wanted), limit)

    def export(self, limit: int | None = None, **wanted: Unpack[Wanted]) -> Iterator[Feedback]:
        """As `rows`; when the last was taken, all of them count as exported, as `Export` says."""
        begun = self.begin_export(limit, **wanted)
        yield from begun
        begun.finish()

    def begin_export(self, limit: int | None = None, **wanted: Unpack[Wanted]) -> Export:
        """The same in two steps, for who must bring the rows to safety before they count as exported."""
        return Export(self._database, conditions(**wanted), limit)

    def add(self, rows: Iterable[Feedback]) -> int:
        """Store rows that were exported elsewhere; returns how many were new, or judged later than the row of that id here.

        Others stay as they are. What a version learned that is not here can be learned again; nothing counts as exported.
        """
        new, source = 0, iter(rows)
        while page := list(islice(source, PAGE)):
            latest = {row.id: row for row in sorted(page, key=lambda row: row.judged_at)}
            rows_there = [values(judging.plain(row)) for row in latest.values()]
            new += self._database.write(lambda connection, them=rows_there: _added(connection, them))  # type: ignore[misc]
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
        """The text that waited for its judgement, which it now has; of two at once, one alone gets it."""
        found = connection.execute(_TAKE_CONTEXT, {"one": id}).first()
        if found is None or found.created_at < now - self._context_life:
            return None
        return Generation.model_validate(found.generation)


def conditions(
    twin: str | None = None,
    since: datetime | None = None,
    subject: str | None = None,
    unexported: bool = False,
    unlearned: bool = False,
) -> list[ColumnElement[bool]]:
    """What must hold for a row to be wanted, all of it; see Wanted."""
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
    named = {row["learned_by"] for row in rows} - {None}
    here = set(connection.scalars(select(versions.c.name).where(versions.c.name.in_(named)))) if named else set()
    known = [row if row["learned_by"] in here else row | {"learned_by": None} for row in rows]
    changed = list(connection.scalars(newer(connection, feedback, "judged_at", "twin").returning(feedback.c.id), known))
    connection.execute(delete(exported).where(exported.c.id.in_(changed)))
    return len(changed)
