"""The models that stay loaded in this process, so that a second question is answered at once.

Several may be warm as long as they fit into the memory together; the one that was not asked for longest goes first, and
never one that is answering. All are given back when the process ends.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from blogtwin.errors import RuntimeUnavailable
from blogtwin.runtimes import machine
from blogtwin.runtimes.footprint import Footprint, fitting, footprint
from blogtwin.runtimes.llama_server import LlamaServer, load

_SHARE = 0.75  # of the memory; the rest is for the system and the other parts of this process
_PATIENCE = 60.0  # seconds to wait for a model that is answering to make room


@dataclass(frozen=True)
class Wanted:
    """A model, and how it is to be loaded. context: tokens of each conversation. slots: of them at once, at most."""

    gguf: Path
    lora: Path | None
    context: int
    threads: int
    slots: int


@dataclass
class _Loaded:
    server: LlamaServer
    size: int  # bytes, as estimated
    users: int = 0
    asked: float = 0.0


class Warm:
    """budget: bytes that all loaded models may have together, asked anew each time; None: unknown, then one at a time."""

    def __init__(self, budget: Callable[[], int | None], patience: float = _PATIENCE) -> None:
        self._budget, self._patience = budget, patience
        self._loaded: dict[Wanted, _Loaded] = {}
        self._changed = threading.Condition()

    @contextmanager
    def lent(self, wanted: Wanted) -> Iterator[LlamaServer]:
        """The server of a model, loaded if it is not; it stays loaded at least until the block ends.

        Raises RuntimeUnavailable when it cannot be loaded, does not fit, or others do not stop answering.
        """
        with self._changed:
            loaded = self._loaded.get(wanted) or self._load(wanted)
            loaded.users += 1
        try:
            yield loaded.server
        finally:
            with self._changed:
                loaded.users -= 1
                loaded.asked = time.monotonic()
                self._changed.notify_all()

    def slots(self, wanted: Wanted) -> int:
        """How many conversations at once a model is loaded for, or would be."""
        with self._changed:
            loaded = self._loaded.get(wanted)
            return loaded.server.slots if loaded else self._fitting(wanted)[2]

    def needs(self, wanted: Wanted) -> int:
        """Bytes that loading a model would take; 0: it is loaded. Raises RuntimeUnavailable when it does not fit at all."""
        with self._changed:
            if wanted in self._loaded:
                return 0
            needs, context, slots = self._fitting(wanted)
            return needs.total(context, slots)

    def release(self, idle: float = 0.0) -> None:
        """Give back the memory of models that nobody has asked for `idle` seconds."""
        with self._changed:
            for wanted, loaded in list(self._loaded.items()):
                if not loaded.users and time.monotonic() - loaded.asked >= idle:
                    self._stop(wanted)

    def discard(self) -> None:
        """Give back the memory of models whose files are gone."""
        with self._changed:
            for wanted, loaded in list(self._loaded.items()):
                if not loaded.users and not wanted.gguf.is_file():
                    self._stop(wanted)

    def close(self) -> None:
        """Give back everything; answers that are being written break off."""
        with self._changed:
            for wanted in list(self._loaded):
                self._stop(wanted)

    def _load(self, wanted: Wanted) -> _Loaded:
        needs, context, slots = self._fitting(wanted)
        size = needs.total(context, slots)
        self._make_room(size, wanted.gguf)
        loaded = _Loaded(load(wanted.gguf, context, wanted.threads, slots, wanted.lora), size)
        self._loaded[wanted] = loaded
        return loaded

    def _fitting(self, wanted: Wanted) -> tuple[Footprint, int, int]:
        needs = footprint(wanted.gguf, wanted.lora)
        return needs, *fitting(needs, wanted.context, wanted.slots, self._budget(), str(wanted.gguf))

    def _make_room(self, size: int, gguf: Path) -> None:
        until = time.monotonic() + self._patience
        while self._loaded:
            budget = self._budget()
            if budget is not None and size + sum(one.size for one in self._loaded.values()) <= budget:
                return
            idle = [wanted for wanted, one in self._loaded.items() if not one.users]
            if idle:
                self._stop(min(idle, key=lambda wanted: self._loaded[wanted].asked))
            elif not self._changed.wait(max(0.0, until - time.monotonic())):
                raise RuntimeUnavailable(
                    f"there is no memory for {gguf} beside the models that are answering",
                    "ask again when they have answered",
                )

    def _stop(self, wanted: Wanted) -> None:
        self._loaded.pop(wanted).server.stop()


def _most() -> int | None:
    most = machine.memory()
    return None if most is None else int(most * _SHARE)


MODELS = Warm(_most)  # of this process
atexit.register(MODELS.close)
