"""The server's own clock: at the times of learning.schedule, every twin's turn of learning goes into the queue.

In: learning.schedule, in cron's words (local time), and learning.scheduled, which is off until somebody switches it on. Out:
calls of `due`. A time that passed while no server ran is not made up for: the next one is learned at.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from cronsim import CronSim, CronSimError

from blogtwin.config import LearningSettings
from blogtwin.errors import BlogtwinError, ConfigError

_LONGEST_SLEEP = 60.0  # seconds; the clock may be set, and a laptop sleeps

log = logging.getLogger(__name__)


def upcoming(schedule: str, now: datetime) -> datetime:
    """The first time after `now`, in its zone. Raises ConfigError for words that cron does not know, or that never come."""
    try:
        return next(CronSim(schedule, now))
    except (CronSimError, StopIteration) as fault:
        raise ConfigError(
            f"learning.schedule is {schedule!r}: {fault or 'no such time ever comes'}",
            "five fields as in a crontab: minute, hour, day, month, weekday; '0 2 * * *' is every night at two",
        ) from fault


class Schedule:
    """A thread that calls `due` at each time; none where learning is not scheduled. Raises ConfigError."""

    def __init__(self, settings: LearningSettings, due: Callable[[], None]) -> None:
        self._words = settings.schedule
        self._due = due
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        if settings.scheduled:
            upcoming(self._words, _now())
            self._thread = threading.Thread(target=self._run, name="schedule", daemon=True)

    def start(self) -> None:
        """Begin to wait."""
        if self._thread:
            self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._over.set()
        if self._thread and self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        at = upcoming(self._words, _now())
        while not self._over.wait(min(_LONGEST_SLEEP, max(0.0, (at - _now()).total_seconds()))):
            if _now() < at:
                continue
            try:
                self._due()
            except BlogtwinError as fault:
                log.warning("the scheduled learning was left out: %s", fault.message)
            at = upcoming(self._words, _now())


def _now() -> datetime:
    return datetime.now().astimezone()
