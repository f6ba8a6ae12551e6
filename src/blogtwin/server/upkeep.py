"""What a server sees to by itself: the model is loaded, old texts go, and what readers decide is carried out soon.

In: the store, the register, the settings of each twin. Out: a model in memory before the first question; Store.expire about once
a minute; a look at every twin with
challengers (stages/rollout.py) at most a quarter of a minute after somebody judged one of its texts. All in a thread of its own;
what goes wrong is told in the log, and tried again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from blogtwin.errors import BlogtwinError
from blogtwin.feedback.store import Store
from blogtwin.feedback.versions import Versions
from blogtwin.server.twins import Twins
from blogtwin.stages import rollout
from blogtwin.stages.turn import Busy

_LOOK_EVERY = 15.0  # seconds
_EXPIRE_EVERY = 60.0
_SHARE = 0.05  # of the time, at most, that looks may take: very many judgements are read for seconds

log = logging.getLogger(__name__)


class Upkeep:
    """A thread of the server; start() and close() go with it. load: done first of all, while the first page is answered."""

    def __init__(self, store: Store, versions: Versions, twins: Twins, load: Callable[[], object]) -> None:
        self._store, self._versions, self._twins, self._load = store, versions, twins, load
        self._seen: dict[str, datetime | None] = {}  # twin → the last judgement that a look has counted
        self._told: dict[str, str] = {}  # what → what went wrong with it last
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; a look that has begun is finished."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        self._carefully("loading the model", self._load)
        expired, pause = time.monotonic(), _LOOK_EVERY
        while not self._over.wait(pause):
            began = time.monotonic()
            self._carefully("looking at what readers judged", self._look)
            pause = max(_LOOK_EVERY, (time.monotonic() - began) / _SHARE)
            if time.monotonic() - expired >= _EXPIRE_EVERY:
                expired = time.monotonic()
                self._carefully("deleting old texts", lambda: self._store.expire(datetime.now(UTC)))

    def _look(self) -> None:
        for twin in sorted({one.twin for one in self._versions.list() if one.state == "challenger"}):
            newest = self._store.newest(twin)
            if newest != self._seen.get(twin):
                self._carefully(f"looking at the challengers of {twin}", lambda one=(twin, newest): self._decide(*one))  # type: ignore[misc]

    def _decide(self, twin: str, newest: datetime | None) -> None:
        try:
            steps = rollout.run(self._twins.settings(twin), self._versions, twin, wait=False)
        except Busy:  # another process looks
            return
        for step in steps:
            for told in (f"{step.version} {step.sentence}", *step.notes):
                log.info("%s", told)
        if not any(step.hindered for step in steps):  # else: once more, though nobody has judged since
            self._seen[twin] = newest

    def _carefully(self, what: str, work: Callable[[], object]) -> None:
        """Do it; what goes wrong is told once, until it goes well or goes wrong in another way."""
        try:
            work()
            self._told.pop(what, None)
        except BlogtwinError as fault:
            if self._told.get(what) != fault.message:
                log.warning("%s: %s", what, fault.message)
            self._told[what] = fault.message
        except Exception as fault:  # a bug must not end the upkeep of everything else
            if self._told.get(what) != repr(fault):
                log.exception("%s", what)
            self._told[what] = repr(fault)
