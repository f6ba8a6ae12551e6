"""The twins of one installation, and where each one lives: the folder with its settings, posts, data and models.

In: a twin's name, without a tag, and its folder. Out: the same, later and from elsewhere: `serve` and `learn` work for all twins.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert, select, update

from blogtwin.feedback import tables
from blogtwin.feedback.database import Database

_TWINS = tables.twins


def settle(database: Database, twin: str, folder: Path) -> None:
    """Remember that `twin` lives in `folder`, wherever it lived before."""
    place = str(folder.absolute())
    with database.writing() as connection:
        there = connection.execute(select(_TWINS.c.folder).where(_TWINS.c.name == twin).with_for_update()).scalar()
        if there is None:
            connection.execute(insert(_TWINS).values(name=twin, folder=place, created_at=datetime.now(UTC)))
        elif there != place:
            connection.execute(update(_TWINS).where(_TWINS.c.name == twin).values(folder=place))


def folders(database: Database) -> dict[str, Path]:
    """Every twin with its folder, by name."""
    with database.reading() as connection:
        rows = connection.execute(select(_TWINS.c.name, _TWINS.c.folder).order_by(_TWINS.c.name))
        return {row.name: Path(row.folder) for row in rows}
