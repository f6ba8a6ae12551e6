"""So many at a time, in the order of asking. In: threads. Out: the same, each in its turn.

Locks and pools of connections go to whoever asks first after a release, which is mostly the thread that just let go: of 64
writers some wait for half a second, while others wait for nothing.
"""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """A lock with `places`, given in the order in which it was asked for."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()

    def take(self, wait: float) -> bool:
        """Whether this thread got a place within `wait` seconds; if so, it must `give` it back."""
        with self._guard:
            if self._free:
                self._free -= 1
                return True
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        try:
            return mine.acquire(timeout=wait) or not self._left(mine)  # it may have come at the last moment
        except BaseException:
            if not self._left(mine):
                self.give()
            raise

    def _left(self, mine: threading.Lock) -> bool:
        """Whether the queue could be left: False when the place had come already."""
        with self._guard:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return True
            return False

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._waiting)

    def give(self) -> None:
        """Let the next one in."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1
