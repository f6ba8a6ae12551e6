"""Trainings of a server: asked for on the page, by the API or by the clock; queued, run and followed until they are over.

In: a twin. Out: jobs, each a `blogtwin learn` of its own process (job_process.py), one at a time (job_queue.py), whichever
server is there (job_worker.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from blogtwin import workspace
from blogtwin.config import Settings
from blogtwin.errors import BlogtwinError, InputError
from blogtwin.feedback.database import Database
from blogtwin.server.job_queue import OPEN, Job, Queue
from blogtwin.server.job_worker import Worker
from blogtwin.server.schedule import Schedule

LEAST = 3  # judgements that a training needs


class NotYet(BlogtwinError):
    """There is too little to learn from."""


class Jobs:
    """What the routes use; start() and close() go with the server."""

    def __init__(self, database: Database, settings: Settings, config: Path | None = None) -> None:
        """config: the settings file that the server was told to read; None: the one in its folder, which a job finds itself."""
        self._twin = settings.deployment.model_name.partition(":")[0]
        self._own = ("--config", str(config.absolute())) if config else ()
        self.queue = Queue(database)
        self.worker = Worker(self.queue, _as_served(settings))
        self._schedule = Schedule(settings.learning, self.learn_all)

    def start(self) -> None:
        """Follow what an earlier server has left running, and begin what waits."""
        self.worker.start()
        self._schedule.start()

    def close(self) -> None:
        """A job that runs goes on without the server."""
        self._schedule.close()
        self.worker.close()

    def train(self, twin: str | None, options: Sequence[str] = ()) -> tuple[Job, bool]:
        """Queue a turn of learning, and whether it is a new one: while one waits or runs, that one is given.

        twin: a name without its tag; None: the settings' own. options: more of `blogtwin learn`.
        Raises InputError for a twin that is none, NotYet below three judgements.
        """
        name = twin or self._twin
        if workspace.find_deployment(name) is None:
            raise InputError(f"no twin named {name} has been deployed", "see those there are: GET /api/twins")
        if (there := self.queue.unlearned(name)) < LEAST:
            raise NotYet(
                f"{name} has {there} new judgements, and a training needs {LEAST}: {LEAST - there} more",
                "rate, choose or edit some more of its texts",
            )
        made = self._learn(name, "--minimum", str(LEAST), *options)
        self.worker.wake()
        return made

    def learn_all(self) -> None:
        """By the clock: a turn for every twin that is deployed; `learn` itself decides whether there is enough."""
        for name in sorted({one.name.partition(":")[0] for one in workspace.deployments()}):
            self._learn(name)
        self.worker.wake()

    def again(self, name: str) -> Job:
        """The same once more, for a job that is over: a training that was cut off goes on from its last checkpoint.

        Raises UnknownRequest.
        """
        job = self.queue.find(name)
        made, _ = self.queue.add(job.twin, job.kind, job.arguments)
        self.worker.wake()
        return made

    def cancel(self, name: str) -> Job:
        """Take it out of the queue, or stop it. Raises UnknownRequest."""
        job = self.queue.cancel(name)
        self.worker.wake()
        return job

    def _learn(self, twin: str, *options: str) -> tuple[Job, bool]:
        own = self._own if twin == self._twin else ()  # another twin learns by the settings of its own folder
        return self.queue.add(twin, "learn", ["learn", "--model-name", twin, "--json", *own, *options])


def _as_served(settings: Settings) -> dict[str, str]:
    """Where the server keeps feedback and runs models, for its jobs: a job's folder may name other places.

    In the environment, because either URL may hold a password, and arguments can be seen by everyone.
    """
    told = {"BLOGTWIN_FEEDBACK_DATABASE_URL": settings.feedback.database_url or ""}
    for name in ("runtime", "ollama_base_url"):
        value = getattr(settings.deployment, name)
        if ("deployment", name) in settings.given and value != "openai":  # which can write alone
            told[f"BLOGTWIN_DEPLOYMENT_{name.upper()}"] = value
    return told


def seconds(job: Job) -> float:
    """How long it has run."""
    if job.started_at is None:
        return 0.0
    return ((job.ended_at or datetime.now(UTC)) - job.started_at).total_seconds()


def is_open(job: Job) -> bool:
    """Whether it waits or runs."""
    return job.state in OPEN
