"""A long text rewritten passage by passage, as one answer. In: passages, and a way to ask. Out: pieces; closing them stops it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from blogtwin.dataset.passages import Passage
from blogtwin.runtimes.answer import Answer
from blogtwin.writing import rewrite


class Rewriting(Iterator[str]):
    """What `blogtwin rewrite` writes: code and tables stay as they are. ask: begins one passage. whole: as of an Answer."""

    def __init__(self, passages: Sequence[Passage], ask: Callable[[Passage], Answer]) -> None:
        self._lock = threading.Lock()
        self._running: Answer | None = None
        self._closed = False
        self.whole = False
        self._pieces = self._written(passages, ask)

    def __next__(self) -> str:
        piece = next(self._pieces)
        if self._closed:  # of a passage that was stopped, nothing counts
            raise StopIteration
        return piece

    def close(self) -> None:
        """Stop, from any thread; nothing more comes."""
        with self._lock:
            self._closed = True
            if self._running:
                self._running.close()

    def _written(self, passages: Sequence[Passage], ask: Callable[[Passage], Answer]) -> Iterator[str]:
        whole = True
        for place, passage in enumerate(passages):
            if place:
                yield "\n\n"
            if not passage.rewritten:
                yield passage.text
                continue
            with self._lock:
                if self._closed:
                    return
                self._running = ask(passage)
            yield from rewrite.told(self._running, passage.text)
            whole = whole and self._running.whole
        self.whole = whole
