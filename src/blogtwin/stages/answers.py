"""A model's answers to prompts, kept in a file as they come, so that a killed evaluation goes on where it stopped.

In: a way to ask, prompts and sampling. Out: the answers. The file stays after the evaluation: a twin that was trained again
has to answer again, its base has not.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from blogtwin import atomic, jsonl
from blogtwin.errors import BrokenRecord
from blogtwin.progress import Progress
from blogtwin.records import Message, Record, Sampling, content_id
from blogtwin.runtimes.answer import Answer

Chat = Callable[[Sequence[Message], Sampling], Answer]


class Kept(Record):
    """id: a hash of the model, the prompt and the sampling. text: what the model said."""

    id: str
    text: str


@dataclass
class Answers:
    """The answers in the file `path`. used: those that were asked for in this run."""

    path: Path
    known: dict[str, str] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)

    @classmethod
    def at(cls, path: Path) -> Answers:
        """The answers that an earlier run left; a last line that was cut off is dropped."""
        known: dict[str, str] = {}
        if path.is_file():
            with contextlib.suppress(BrokenRecord):  # what was read before the break is good
                known.update((answer.id, answer.text) for answer in jsonl.read(path, Kept))
        return cls(path, known)

    def missing(self, model: str, prompts: Sequence[str], sampling: Sampling) -> bool:
        """Whether `model` has to be asked at all."""
        return any(_id(model, prompt, sampling) not in self.known for prompt in prompts)

    def ask(
        self,
        model: str,
        label: str,
        prompts: Sequence[str],
        sampling: Sampling,
        chat: Chat,
        progress: Progress,
        at_once: int = 1,
    ) -> list[str]:
        """One answer a prompt, in their order, each with a seed of its own, so that others change nothing.

        model: what the answers depend on, beside prompt and sampling. at_once: how many are asked at the same time; engines
        that compute several together may round them in another way, so that only 1 gives the same words in every run.
        What fails or is interrupted stops the others; the answers that were whole by then are kept.
        """
        self._rewrite(self.known)
        numbers = {_id(model, prompt, sampling): prompt for prompt in prompts}
        missing = {number: prompt for number, prompt in numbers.items() if number not in self.known}
        with progress.task(label, len(numbers), "answers") as task:
            task.advance(len(numbers) - len(missing))
            with contextlib.closing(_together(missing, sampling, chat, at_once)) as answers:
                for number, text in answers:
                    self._add(number, text)
                    task.advance()
        self.used.update((number, self.known[number]) for number in numbers)
        return [self.used[_id(model, prompt, sampling)] for prompt in prompts]

    def keep_used(self) -> None:
        """Forget what this run did not ask for, so that the file does not grow from version to version."""
        self._rewrite(self.used)

    def _add(self, number: str, text: str) -> None:
        self.known[number] = text
        with atomic.writing_to(self.path), self.path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(Kept(id=number, text=text).model_dump_json() + "\n")

    def _rewrite(self, answers: dict[str, str]) -> None:
        """The file without half-written lines: what is appended later must begin on a line of its own."""
        jsonl.write(self.path, (Kept(id=number, text=text) for number, text in answers.items()))


def _together(prompts: Mapping[str, str], sampling: Sampling, chat: Chat, at_once: int) -> Generator[tuple[str, str]]:
    """Number and answer of each prompt, as they are finished, `at_once` of them at the same time."""
    running: set[Answer] = set()
    ended = threading.Event()

    def answer(number: str, prompt: str) -> tuple[str, str]:
        seeded = sampling.model_copy(update={"seed": seed_of(prompt, sampling)})
        pieces = chat([Message(role="user", content=prompt)], seeded)
        running.add(pieces)
        said = "" if ended.is_set() else "".join(pieces).strip()
        running.discard(pieces)
        return number, said

    pool = ThreadPoolExecutor(max(1, at_once), "answer")
    try:
        for finished in as_completed([pool.submit(answer, number, prompt) for number, prompt in prompts.items()]):
            yield finished.result()
    finally:  # also when one failed, or Ctrl-C was pressed
        ended.set()
        pool.shutdown(wait=False, cancel_futures=True)
        for pieces in tuple(running):
            pieces.close()
        pool.shutdown()


def seed_of(prompt: str, sampling: Sampling) -> int:
    """A seed for each prompt, the same whatever other prompts there are; fits 31 bits, as every engine wants."""
    return int(content_id(prompt, str(sampling.seed)), 16) % 2**31


def _id(model: str, prompt: str, sampling: Sampling) -> str:
    return content_id(model, prompt, sampling.model_dump_json())
