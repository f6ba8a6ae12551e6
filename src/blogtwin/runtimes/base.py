"""What every runtime can do; one contract suite in the tests runs over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from blogtwin.progress import Progress
from blogtwin.records import Artifact, Message, Sampling
from blogtwin.runtimes.answer import Answer


def with_system(messages: Sequence[Message], system: str) -> list[Message]:
    """The conversation as the twin was trained on it: `system` first, unless it begins with a system message."""
    if not system or (messages and messages[0].role == "system"):
        return list(messages)
    return [Message(role="system", content=system), *messages]


class Runtime(Protocol):
    """A place where models have names and answer. All but `unavailable` raise RuntimeUnavailable."""

    name: str

    def unavailable(self) -> str | None:
        """Why this runtime cannot serve here, and the command that mends it; None when it can."""

    def install(self, artifact: Artifact, name: str, progress: Progress) -> None:
        """Let `name` stand for `artifact`. When it fails, no name has changed."""

    def copy(self, source: str, target: str) -> None:
        """Let `target` stand for what `source` stands for; `source` stays."""

    def difference(self, name: str, artifact: Artifact) -> str | None:
        """The first field in which what is served as `name` is not `artifact`, with both values; None: all is equal."""

    def ends_at(self, name: str, marker: str, token: int) -> bool:
        """Whether an answer ends when the model says `marker`, whose number in its vocabulary is `token`."""

    def remove(self, name: str) -> None:
        """Forget `name`; nothing happens when it is not there."""

    def names(self) -> list[str]:
        """The models that can answer, with their tags."""

    def concurrency(self, name: str) -> int:
        """How many conversations at once are worth while; more would wait. All of the others may ask for the same name.

        Several at once may be rounded in another way than one after the other: a word that is drawn by chance can change.
        """

    def render(self, name: str, messages: Sequence[Message]) -> str:
        """The prompt as the model will see it. Without a system message the artifact's own is put first."""

    def prompt_tokens(self, name: str, messages: Sequence[Message]) -> int:
        """How many tokens the engine feeds for this conversation: what shows a doubled or missing BOS."""

    def chat(self, name: str, messages: Sequence[Message], options: Sampling) -> Answer:
        """The answer, piece by piece; closing it, from any thread, stops the generation."""
