"""The queue of trainings, in the database: one at a time, on whichever server is there first.

In: jobs to be done. Out: which of them may begin, and what became of each. Nothing here starts a process (see job_worker.py);
two servers on one database never start two jobs, and none twice, as each step is one transaction.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field
from sqlalchemy import Connection, RowMapping, func, insert, select, text, update

from blogtwin import workspace
from blogtwin.errors import InputError, UnknownRequest
from blogtwin.feedback.database import Database
from blogtwin.feedback.tables import feedback, jobs, twins
from blogtwin.records import Record
from blogtwin.server.job_process import LOG

State = Literal["queued", "running", "stopping", "done", "failed", "cancelled"]
OPEN = ("queued", "running", "stopping")
_ALIVE = ("running", "stopping")


class Job(Record):
    """A command that trains: what it was told, where it stands, and what came of it."""

    id: str
    twin: str
    kind: str
    state: State
    arguments: tuple[str, ...]
    host: str | None = None
    pid: int | None = None
    pid_started: float | None = None
    progress: dict[str, Any] = Field(default_factory=dict)
    log: str
    error: str = ""
    version: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def folder(self) -> Path:
        """Where its log, its progress and its result lie."""
        return Path(self.log).parent


class Process(NamedTuple):
    """What is on record of a job that has begun."""

    pid: int
    started: float  # seconds since the epoch


class Queue:
    """The rows of the table `jobs`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.host = socket.gethostname()

    def add(self, twin: str, kind: str, arguments: Sequence[str]) -> tuple[Job, bool]:
        """Queue a job, and whether it is a new one: a twin's open job of the same kind is given instead of a second one."""
        with self._database.writing() as connection:
            _alone(connection)
            there = connection.execute(
                select(jobs).where(jobs.c.twin == twin, jobs.c.kind == kind, jobs.c.state.in_(OPEN))
            ).mappings()
            if found := there.first():
                return _job(found), False
            now = datetime.now(UTC)
            name = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
            row = {
                "id": name,
                "twin": twin,
                "kind": kind,
                "state": "queued",
                "arguments": list(arguments),
                "progress": {},
                "log": str((workspace.home() / "jobs" / name / LOG).absolute()),
                "error": "",
                "created_at": now,
            }
            connection.execute(insert(jobs).values(row))
            return Job.model_validate(row), True

    def find(self, name: str) -> Job:
        """Raises UnknownRequest."""
        with self._database.reading() as connection:
            row = connection.execute(select(jobs).where(jobs.c.id == name)).mappings().first()
        if row is None:
            raise UnknownRequest(f"there is no job {name!r}", "see those there are: GET /api/jobs")
        return _job(row)

    def newest(self, twin: str | None = None, limit: int = 50) -> list[Job]:
        """The latest first."""
        asked = select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            rows = connection.execute(asked if twin is None else asked.where(jobs.c.twin == twin)).mappings()
            return [_job(row) for row in rows]

    def here(self) -> list[Job]:
        """Those that run on this machine, by the record."""
        with self._database.reading() as connection:
            asked = select(jobs).where(jobs.c.state.in_(_ALIVE))
            if connection.dialect.name != "sqlite":  # whose file is this machine's own, by whatever name it goes today
                asked = asked.where(jobs.c.host == self.host)
            return [_job(row) for row in connection.execute(asked).mappings()]

    def cancel(self, name: str) -> Job:
        """Take a waiting job out of the queue; let the machine of a running one stop it. Raises UnknownRequest."""
        job = self.find(name)
        now = datetime.now(UTC)
        with self._database.writing() as connection:
            mine = update(jobs).where(jobs.c.id == name)
            connection.execute(mine.where(jobs.c.state == "queued").values(state="cancelled", ended_at=now))
            # Where the machine that runs it is gone, nobody stops it: who asks twice takes it off the record.
            gone = mine.where(jobs.c.state == "stopping", jobs.c.host != self.host)
            connection.execute(gone.values(state="cancelled", ended_at=now))
            connection.execute(mine.where(jobs.c.state == "running").values(state="stopping"))
        return self.find(job.id)

    def claim(self, begin: Callable[[Job, Path], Process]) -> Job | None:
        """Begin the oldest waiting job if none runs anywhere; what `begin` gives is on record when this returns.

        begin: the job and its twin's folder → a process that waits until it is let go. It is called inside the transaction:
        where that fails, the job is still queued, and the process was never let go. What it raises as OSError fails the job.
        """
        with self._database.reading() as connection:  # most looks find nothing, and are not to hold up those who write
            if connection.execute(select(jobs.c.id).where(jobs.c.state == "queued").limit(1)).first() is None:
                return None
        with self._database.writing() as connection:
            _alone(connection)
            if connection.execute(select(jobs.c.id).where(jobs.c.state.in_(_ALIVE)).limit(1)).first():
                return None
            waiting = select(jobs).where(jobs.c.state == "queued").order_by(jobs.c.created_at, jobs.c.id).limit(1)
            row = connection.execute(waiting).mappings().first()
            if row is None:
                return None
            job, now = _job(row), datetime.now(UTC)
            begun: dict[str, Any] = {"host": self.host, "started_at": now}
            try:
                process = begin(job, _folder(connection, job.twin))
            except (OSError, InputError) as fault:
                begun |= {"state": "failed", "error": f"it could not begin: {fault}", "ended_at": now}
            else:
                begun |= {"state": "running", "pid": process.pid, "pid_started": process.started}
            connection.execute(update(jobs).where(jobs.c.id == job.id).values(begun))
            return job.model_copy(update=begun)

    def unlearned(self, twin: str) -> int:
        """How many judgements no version of the twin has learned from yet."""
        new = select(func.count()).where(feedback.c.twin == twin, feedback.c.learned_by.is_(None))
        with self._database.reading() as connection:
            return connection.execute(new).scalar_one()

    def told(self, name: str, progress: dict[str, Any]) -> None:
        """What it has told of itself by now."""
        with self._database.writing() as connection:
            connection.execute(update(jobs).where(jobs.c.id == name).values(progress=progress))

    def ended(self, name: str, state: State, progress: dict[str, Any], error: str, version: str | None) -> None:
        """It is over; a job that is on record as over stays as it is."""
        with self._database.writing() as connection:
            connection.execute(
                update(jobs)
                .where(jobs.c.id == name, jobs.c.state.in_(_ALIVE))
                .values(state=state, progress=progress, error=error, version=version, ended_at=datetime.now(UTC))
            )


def _alone(connection: Connection) -> None:
    """Nobody else adds or claims until the transaction ends; SQLite's has locked the whole file already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("LOCK TABLE jobs IN SHARE ROW EXCLUSIVE MODE"))


def _folder(connection: Connection, twin: str) -> Path:
    """Where a twin is trained; where nobody has said, here. Raises InputError when it is gone."""
    told = connection.execute(select(twins.c.folder).where(twins.c.name == twin)).scalar()
    folder = Path(told) if told else Path.cwd()
    if not folder.is_dir():
        raise InputError(
            f"{folder}, the folder in which {twin} is trained, is gone",
            f"put it back, or train there once by hand: blogtwin learn --model-name {twin}",
        )
    return folder


def _job(row: RowMapping) -> Job:
    return Job.model_validate(dict(row))
