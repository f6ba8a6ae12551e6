"""The base models of twins in service, for whoever wants to see the difference. In: a deployment. Out: a name that answers.

A base is exported when it is first asked for, which may take a minute, and stays until the server ends.
"""

from __future__ import annotations

import contextlib
import threading

from blogtwin.config import Settings
from blogtwin.progress import Silent
from blogtwin.records import Deployment
from blogtwin.runtimes.base import Runtime
from blogtwin.stages import served_twin
from blogtwin.stages.versions import family


class Bases:
    """One base a twin; several threads may ask, and wait for the one that is first."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[str, Runtime, str, contextlib.ExitStack]] = {}  # twin → what of, where, name, end

    def take(self, twin: Deployment) -> tuple[Runtime, str]:
        """The runtime and the name of its base. Raises ModelError when it cannot be had, RuntimeUnavailable, OutputError."""
        served = served_twin.find(self._settings, twin.name)
        key, name = served.base_key, family(twin.name)
        with self._lock:
            if name in self._kept:
                of, runtime, called, end = self._kept[name]
                if of == key and called in runtime.names():  # another command may have cleared it away
                    return runtime, called
                del self._kept[name]
                end.close()
            with contextlib.ExitStack() as stack:
                called = stack.enter_context(served_twin.base_in_service(served, self._settings, Silent()))
                self._kept[name] = (key, served.beside, called, stack.pop_all())
            return served.beside, called

    def close(self) -> None:
        """Take all of them out of service."""
        with self._lock:
            for *_, end in self._kept.values():
                end.close()
            self._kept.clear()
