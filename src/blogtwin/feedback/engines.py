"""How the two databases are reached. In: a URL, or None for SQLite. Out: an engine that reads and one that writes.

SQLite stands in WAL mode: readers never wait, writers wait for each other. A commit is in the operating system's hands
before it is acknowledged, so a killed process loses nothing; after a power cut the last commits before it may be missing,
and the file is whole.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from blogtwin import atomic, workspace
from blogtwin.errors import ConfigError
from blogtwin.feedback.turns import Turns

_READERS = 16  # connections at a time
_WRITERS = 16
_WAL_KEPT = 64 * 1024 * 1024  # bytes of the write-ahead log's file that stay after a checkpoint
_URLS = "feedback.database_url is postgresql://NAME:PASSWORD@HOST/DATABASE, or empty for SQLite"


@dataclass(frozen=True)
class Engines:
    """name: as messages show it, without a password. reader refuses to write. turns: of those who write."""

    name: str
    reader: Engine
    writer: Engine
    turns: Turns


def engines(url: str | None, wait: float) -> Engines:
    """The engines of `url`. wait: seconds for a lock.

    Raises ConfigError for a URL that is none, OutputError for a folder that may not be written to.
    """
    if url is None:
        return _sqlite(workspace.home() / "feedback.db", wait)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError("the database's URL cannot be read", _URLS) from None  # the cause would show the password
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        return _sqlite(Path(parsed.database), wait)
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return _postgresql(parsed.set(drivername="postgresql+psycopg"), wait)
    raise ConfigError(f"{parsed.drivername} is no database that blogtwin knows", _URLS)


def _sqlite(path: Path, wait: float) -> Engines:
    with atomic.writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):  # its log beside it gets the same rights
            # O_EXCL: to close a file that this process has open in SQLite too would give up all locks that it holds there,
            # and then another process that ends takes itself for the last one, and removes the log.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    url = URL.create("sqlite", database=str(path))
    # SQLite has one writer at a time: to wait for a turn is quicker, and fairer, than to ask for the file's lock again and again.
    writer = _engine(url, connect_args=_lite(wait), pool_size=1, max_overflow=0, pool_timeout=wait)
    reader = _engine(url, connect_args=_lite(wait), pool_size=_READERS, max_overflow=0, pool_timeout=wait)
    _on_connect(writer, "PRAGMA journal_mode=WAL", "PRAGMA secure_delete=ON")
    _on_connect(reader, "PRAGMA query_only=ON")
    _begin(writer, "BEGIN IMMEDIATE")
    _begin(reader, "BEGIN")
    return Engines(str(path), reader, writer, Turns(1))


def _lite(wait: float) -> dict[str, Any]:
    return {"timeout": wait, "isolation_level": None}  # None: the driver begins no transactions of its own


def _on_connect(engine: Engine, *pragmas: str) -> None:
    @event.listens_for(engine, "connect")
    def connected(raw: Any, record: Any) -> None:
        shared = ("synchronous=NORMAL", "foreign_keys=ON", f"journal_size_limit={_WAL_KEPT}")
        for pragma in (*pragmas, *(f"PRAGMA {one}" for one in shared)):
            raw.execute(pragma).close()


def _begin(engine: Engine, statement: str) -> None:
    @event.listens_for(engine, "begin")
    def begun(connection: Any) -> None:
        connection.exec_driver_sql(statement)


def _postgresql(url: URL, wait: float) -> Engines:
    try:
        import psycopg  # noqa: F401
    except ImportError as missing:
        raise ConfigError(
            "PostgreSQL needs the `postgres` extra, which is not installed", "pip install 'blogtwin[postgres]'"
        ) from missing
    shared: dict[str, Any] = {"pool_pre_ping": True, "pool_timeout": wait, "pool_size": 4}
    patience = {"connect_timeout": 5, "tcp_user_timeout": int(wait * 1000), "application_name": "blogtwin"}
    locks = f"-c lock_timeout={int(wait * 1000)}"
    writer = _engine(
        url, connect_args=patience | {"options": locks}, max_overflow=_WRITERS - shared["pool_size"], **shared
    )
    reading = {"options": f"{locks} -c default_transaction_read_only=on"}
    reader = _engine(url, connect_args=patience | reading, max_overflow=_READERS - shared["pool_size"], **shared)
    return Engines(url.render_as_string(hide_password=True).replace("+psycopg", ""), reader, writer, Turns(_WRITERS))


def _engine(url: URL, **options: Any) -> Engine:
    return create_engine(url, hide_parameters=True, **options)  # what people write stays out of tracebacks and logs
