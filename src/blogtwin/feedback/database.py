"""The one database of service: opened, brought up to date, and held through locks and a server that is away for a moment.

In: a URL. Out: connections in a transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from blogtwin.feedback import schema, troubles
from blogtwin.feedback.engines import Engines, engines

T = TypeVar("T")
A = TypeVar("A")
_PAUSE = 0.1  # seconds between two attempts
_OPENING = 3.0  # seconds that a server which has not answered yet is waited for


class Database:
    """Transactions on the database, from any thread. name: its file or URL, without the password."""

    def __init__(self, ways: Engines, wait: float) -> None:
        self.name = ways.name
        self._ways = ways
        self._wait = wait

    @classmethod
    def open(cls, url: str | None, wait: float = 15.0) -> Database:
        """The database at `url` (None: SQLite in the user's own folder), made or brought up to date where it is not.

        wait: seconds for which a lock, or a server that is away, is waited out. Raises StoreError; ConfigError for a bad URL.
        """
        database = cls(engines(url, wait), wait)
        try:
            database._retried(schema.prepare, database._ways, _OPENING)
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction: committed when the block ends well, else as if it had not been.

        Waits for a lock and for a server that is away, before the block; where the connection breaks inside of it, raises
        StoreError: use `write` for work that can be done again. Not to be nested: SQLite has one writer.
        """
        with self._turn(), self._transaction(self._ways.writer, self._wait) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One view of the database that nobody's writing changes, and that cannot write. Waits as `writing` does."""
        with self._transaction(self._ways.reader, self._wait) as connection:
            yield connection

    def write(self, work: Callable[[Connection], T]) -> T:
        """What `work` returns, its writes committed; done again from the start when the connection breaks in the middle.

        work: may run more than once, and after a commit whose acknowledgement was lost. Raises StoreError.
        """
        return self._retried(self._worked, work, self._wait)

    def _worked(self, work: Callable[[Connection], T]) -> T:
        with self._turn(), self._ways.writer.begin() as connection:
            return work(connection)

    def read(self, work: Callable[[Connection], T]) -> T:
        """As `write`, for work that only reads."""

        def worked(work: Callable[[Connection], T]) -> T:
            with self._ways.reader.begin() as connection:
                return work(connection)

        return self._retried(worked, work, self._wait)

    def check(self) -> None:
        """Raises StoreError, at once, when the database cannot be read."""
        with self._transaction(self._ways.reader, 0) as connection:
            connection.execute(text("SELECT 1"))

    def compact(self) -> None:
        """Let deleted texts leave SQLite's log, too; where another reads at the moment they leave it later."""
        if self._ways.writer.dialect.name == "sqlite":
            with self._turn():
                connection = self._ways.writer.raw_connection()  # a checkpoint cannot stand in a transaction
                try:
                    connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
                finally:
                    connection.close()

    def close(self) -> None:
        """Give back all connections that are not in use."""
        self._ways.reader.dispose()
        self._ways.writer.dispose()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._ways.turns.take(self._wait):
            raise troubles.busy(self.name, self._wait)
        try:
            yield
        finally:
            self._ways.turns.give()

    @contextmanager
    def _transaction(self, engine: Engine, wait: float) -> Iterator[Connection]:
        connection = self._retried(_begun, engine, wait)
        try:
            with connection, connection.get_transaction():  # type: ignore[union-attr]
                yield connection
        except SQLAlchemyError as fault:
            raise (troubles.told(fault, self.name, self._wait) or fault) from fault

    def _retried(self, work: Callable[[A], T], argument: A, wait: float) -> T:
        """`work(argument)`, tried again for up to `wait` seconds while what is wrong may pass."""
        until = time.monotonic() + wait
        while True:
            try:
                return work(argument)
            except SQLAlchemyError as fault:
                if not troubles.passes(fault) or time.monotonic() >= until:
                    raise (troubles.told(fault, self.name, wait) or fault) from fault
            time.sleep(_PAUSE)


def _begun(engine: Engine) -> Connection:
    connection = engine.connect()
    try:
        connection.begin()
    except BaseException:
        connection.close()
        raise
    return connection
