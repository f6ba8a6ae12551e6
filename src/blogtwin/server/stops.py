"""Texts that end an answer, for runtimes that are told of none. In: pieces as they come. Out: the same, up to the first stop."""

from __future__ import annotations

from collections.abc import Sequence


class Cut:
    """Of one answer. done: a stop has come, and what follows is of no use."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.done = False

    def feed(self, piece: str) -> str:
        """What can be shown by now: an end that may be the beginning of a stop is held back."""
        if self.done:
            return ""
        if not self._stops:
            return piece
        text = self._held + piece
        found = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            self.done, self._held = True, ""
            return text[: min(found)]
        held = max(_begun(text, stop) for stop in self._stops)
        self._held = text[len(text) - held :]
        return text[: len(text) - held]

    def rest(self) -> str:
        """What was held back, when nothing more comes."""
        held, self._held = self._held, ""
        return held


def _begun(text: str, stop: str) -> int:
    """How many characters at the end of `text` are the beginning of `stop`."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
