"""What the databases' drivers complain of, told to the user. In: an exception. Out: a StoreError with the remedy, or none."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError, TimeoutError

from blogtwin.errors import StoreError

_LITE = {
    "SQLITE_BUSY": (
        "has been locked by another program for {wait:g} seconds",
        "end what holds it (a copy of the file that is being made, an open database browser), then do the same again",
    ),
    "SQLITE_FULL": ("cannot grow: the disk is full", "free some space, then do the same again: nothing was lost"),
    "SQLITE_IOERR": (
        "cannot be written: the disk refuses, or is full",
        "free some space or mend the disk, then do the same again: what was acknowledged before is kept",
    ),
    "SQLITE_CANTOPEN": ("cannot be opened", "check its folder's permissions: blogtwin doctor"),
    "SQLITE_READONLY": ("may not be written to", "give yourself write access to the file and its folder"),
    "SQLITE_NOTADB": ("is not a database", "move that file away: a new one is made, and old exports can be imported"),
    "SQLITE_CORRUPT": ("is damaged", "move it away and take your backup, or: blogtwin feedback import EXPORT.jsonl"),
}
_POSTGRES = {
    "53100": ("cannot grow: the server's disk is full", "free some space there, then do the same again"),
    "55P03": ("has been locked by another program for {wait:g} seconds", "end what holds the lock, then try again"),
    "42P07": ("has tables of another program by the same names", "give blogtwin a database of its own"),
    "42501": ("does not let this user work in it", "grant the user its schema: GRANT ALL ON SCHEMA public TO NAME"),
}
_FOR_A_MOMENT = ("starting up", "shutting down", "recovery", "too many", "remaining connection slots")
_AGAIN = ("40001", "40P01", "57P01", "57P02", "57P03")  # a deadlock, or a server that is going down or coming up


def told(fault: SQLAlchemyError, name: str, wait: float) -> StoreError | None:
    """What `fault` means to a user of the database `name`, or None where it is a mistake of ours. wait: seconds waited."""
    if isinstance(fault, TimeoutError):
        return busy(name, wait)
    if not isinstance(fault, DBAPIError):
        return None
    if isinstance(fault.orig, sqlite3.Error):
        code = getattr(fault.orig, "sqlite_errorname", "")
        known = next((known for start, known in _LITE.items() if code.startswith(start)), None)
    else:
        known = _POSTGRES.get(_state(fault))
        if known is None and isinstance(fault, OperationalError):
            reason = str(fault.orig).strip().splitlines()[-1]
            known = (f"does not answer: {reason}", "start PostgreSQL, or mend feedback.database_url")
    if known is None:
        return None
    return StoreError(f"the database {name} {known[0].format(wait=wait)}", known[1])


def busy(name: str, wait: float) -> StoreError:
    """Others of this program had all connections for `wait` seconds."""
    return StoreError(
        f"the database {name} has been busy for {wait:g} seconds", "try again when the long work on it has ended"
    )


def passes(fault: SQLAlchemyError) -> bool:
    """Whether the same may work in a moment: the server is away or restarts, or two transactions stood in each other's way."""
    if not isinstance(fault, OperationalError) or isinstance(fault.orig, sqlite3.Error):
        return False
    state, text = _state(fault), str(fault.orig)
    if state:
        return state in _AGAIN
    return "FATAL" not in text or any(words in text for words in _FOR_A_MOMENT)


def _state(fault: DBAPIError) -> str:
    return getattr(fault.orig, "sqlstate", None) or ""
