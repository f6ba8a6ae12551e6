"""What keeps the queue going in a server: it begins the next job, follows the one that runs, and stops the one that shall.

In: the queue and this machine's processes. Out: rows that tell the truth. It holds nothing that a restart could lose: a job
that runs on is followed again, one that has died meanwhile is marked as failed, and a stop that was asked for is gone through
with.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from blogtwin.errors import BlogtwinError
from blogtwin.server import job_process
from blogtwin.server.job_process import LOG, PROGRESS, RESULT, Begun
from blogtwin.server.job_progress import Reader
from blogtwin.server.job_queue import Job, Process, Queue, State

_LOOK_EVERY = 0.3  # seconds
_LOOK_IDLE = 1.0  # seconds: another server may have queued something; what this one queues wakes it
_TELL_EVERY = 1.0  # seconds between two writes of a job's progress
_GRACE = 20.0  # seconds from Ctrl-C to the kill: a step of training on a slow processor, and its checkpoint
_SHOWN = 12  # lines of the log in the error of a job that died

log = logging.getLogger(__name__)


class Worker:
    """A thread of the server. environment: what the jobs are told besides its own."""

    def __init__(self, queue: Queue, environment: Mapping[str, str], grace: float = _GRACE) -> None:
        self._queue = queue
        self._environment = environment
        self._grace = grace
        self._followed: dict[str, _Followed] = {}
        self._begun: dict[str, Begun] = {}
        self._wake = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Follow what runs already, and begin what waits."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; a job that runs goes on, and is found again by the next server."""
        self._over.set()
        self.wake()
        self._thread.join()
        for begun in self._begun.values():
            begun.part()

    def wake(self) -> None:
        """Look at once: something was queued or cancelled."""
        self._wake.set()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self.look()
            except BlogtwinError as fault:  # the database is gone or locked; the job itself goes on
                log.warning("the queue of trainings waits: %s", fault.message)
            except Exception:  # a fault of our own in one look is not to end all trainings
                log.exception("the queue of trainings stumbled")
            self._wake.wait(_LOOK_EVERY if self._followed else _LOOK_IDLE)
            self._wake.clear()

    def look(self) -> None:
        """Once: what runs on this machine, then what waits."""
        running = self._queue.here()
        for gone in self._followed.keys() - {job.id for job in running}:
            del self._followed[gone]
        for job in running:
            self._follow(job)
        self._begin()

    def _begin(self) -> None:
        waiting: list[Begun] = []

        def begin(job: Job, folder: Path) -> Process:
            begun = job_process.begin(job.arguments, folder, job.folder, self._environment)
            waiting.append(begun)
            return Process(begun.child.pid, begun.started)

        try:
            job = self._queue.claim(begin)
        except BaseException:
            for one in waiting:
                one.leave()
            raise
        if job is not None and waiting:
            self._begun[job.id] = waiting[0]
            waiting[0].go()
            self._wake.set()

    def _follow(self, job: Job) -> None:
        followed = self._followed.setdefault(job.id, _Followed(Reader(job.folder / PROGRESS)))
        begun = self._begun.get(job.id)
        code = begun.child.poll() if begun else None  # which also buries it
        alive = code is None and job_process.running(job.pid, job.pid_started)
        if begun and not alive:
            code = begun.child.wait()
        new = followed.reader.read()
        if not alive:
            state, error, version = _outcome(job, followed.reader, code)
            picture = followed.reader.picture
            picture.bars = {}
            self._queue.ended(job.id, state, picture.model_dump(), error, version)
            self._begun.pop(job.id, None)
            return
        if job.state == "stopping":
            followed.stopping = followed.stopping or time.monotonic()
            late = time.monotonic() - followed.stopping > self._grace
            if late or not followed.asked:
                followed.asked = True
                job_process.stop(job.pid, job.pid_started, hard=late)
        followed.untold = followed.untold or new
        if followed.untold and time.monotonic() - followed.written >= _TELL_EVERY:
            followed.written, followed.untold = time.monotonic(), False
            self._queue.told(job.id, followed.reader.picture.model_dump())


class _Followed:
    """What is known of a job that runs. stopping: since when it shall end; written: when its row was last brought up to date."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.stopping = 0.0
        self.asked = False
        self.written = 0.0
        self.untold = False


def _outcome(job: Job, reader: Reader, code: int | None) -> tuple[State, str, str | None]:
    """What became of a process that has ended, why, and the version that came of it. code: None where it was not our child."""
    picture = reader.picture
    if picture.exit == 0:
        result = _result(job.folder / RESULT)
        picture.notes += [str(result["sentence"])] if "sentence" in result else []
        return "done", "", str(result["version"]) if result.get("outcome") == "challenger" else None
    if job.state == "stopping":
        return "cancelled", "", None
    if picture.error:
        return "failed", "\n".join(filter(None, (picture.error, picture.hint))), None
    how = f"by signal {-code}" if code is not None and code < 0 else "" if picture.exit is None else f"({picture.exit})"
    last = job_process.tail(job.folder / LOG, _SHOWN)
    said = f"it was ended {how}".rstrip() + "; started again, it goes on from its last checkpoint"
    return "failed", f"{said}\n{last}".strip(), None


def _result(path: Path) -> dict[str, object]:
    """What `learn --json` and its like have printed; nothing where it is none of them."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
