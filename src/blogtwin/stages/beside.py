"""Base and twin asked the same thing at the same moment, for whoever wants to see the difference. In: a prompt. Out: two answers.

Nothing is kept. The base stands in the runtime as long as the block lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from blogtwin.config import Settings
from blogtwin.progress import Progress
from blogtwin.records import Message
from blogtwin.runtimes.answer import Answer
from blogtwin.stages import served_twin

Ask = Callable[[str], tuple[Answer, Answer]]


@contextmanager
def base_and_twin(settings: Settings, progress: Progress) -> Iterator[Ask]:
    """A way to ask both, with one sampling; a seed is drawn anew each time.

    Raises InputError (no such twin), ModelError (no base) and RuntimeUnavailable.
    """
    served = served_twin.find(settings)
    most = settings.evaluation.max_tokens
    sampling = served.twin.artifact.sampling.model_copy(update={"max_tokens": most, "seed": None})
    with served_twin.base_in_service(served, settings, progress) as base:

        def ask(prompt: str) -> tuple[Answer, Answer]:
            said = [Message(role="user", content=prompt)]
            return served.beside.chat(base, said, sampling), served.runtime.chat(served.name, said, sampling)

        yield ask
