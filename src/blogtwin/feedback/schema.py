"""The database's schema is the one that this version of blogtwin knows: made, brought up to date, or refused.

In: engines. Out: tables as tables.py has them. Two programs that open the same database at once migrate it once.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from blogtwin.errors import StoreError
from blogtwin.feedback.engines import Engines

HEAD = "0001"  # the newest file in migrations/versions
_LOCK = 0x626C6F67  # "blog": the advisory lock under which PostgreSQL's schema changes
MIGRATIONS = Path(__file__).parent / "migrations"


def prepare(ways: Engines) -> None:
    """Bring the schema up to date. Raises StoreError for one of a newer blogtwin."""
    with ways.reader.begin() as connection:
        if revision(connection) == HEAD:
            return
    with ways.writer.begin() as connection:  # in SQLite this is the lock
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
        upgrade(connection, ways.name)


def revision(connection: Connection) -> str | None:
    """The schema's number; None where there is no schema yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def upgrade(connection: Connection, name: str) -> None:
    """Run what is missing, in the transaction of `connection`; all of it or nothing."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    now = revision(connection)
    known = {one.revision for one in ScriptDirectory.from_config(config).walk_revisions()}
    if now is not None and now not in known:
        raise StoreError(
            f"the database {name} was made by a newer blogtwin: its schema is {now}, and {HEAD} is the newest known here",
            "install the newest blogtwin: pip install -U blogtwin; or keep another database: feedback.database_url",
        )
    command.upgrade(config, "head")
