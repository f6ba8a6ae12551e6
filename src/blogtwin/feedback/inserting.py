"""Rows that may be there already, as the two databases put it. In: a table. Out: the statement; the columns are given with it."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def ignoring(connection: Connection, table: Table) -> Any:
    """An insert that leaves a row alone whose id is there."""
    return _ignoring(connection.dialect.name, table)


def newer(connection: Connection, table: Table, moment: str, owner: str) -> Any:
    """An insert that replaces a row whose id is there by one of a later `moment` and the same `owner`, and no other."""
    return _newer(connection.dialect.name, table, moment, owner)


@cache
def _newer(name: str, table: Table, moment: str, owner: str) -> Any:
    new = _dialect(name).insert(table)
    columns = {column.name: new.excluded[column.name] for column in table.c if column.name != "id"}
    later = (new.excluded[moment] > table.c[moment]) & (new.excluded[owner] == table.c[owner])
    return new.on_conflict_do_update(index_elements=["id"], set_=columns, where=later)


@cache
def _ignoring(name: str, table: Table) -> Any:
    return _dialect(name).insert(table).on_conflict_do_nothing(index_elements=["id"])


def _dialect(name: str) -> Any:
    return postgresql if name == "postgresql" else sqlite
