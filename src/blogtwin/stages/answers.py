"""A model's answers to prompts, kept in a file as they come, so that a killed evaluation goes on where it stopped.

In: a way to ask, prompts and sampling. Out: the answers. The file stays after the evaluation: a twin that was trained again
has to answer again, its base has not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from blogtwin import atomic, jsonl
from blogtwin.errors import BrokenRecord
from blogtwin.progress import Progress
from blogtwin.records import Message, Record, Sampling, content_id

Chat = Callable[[Sequence[Message], Sampling], Iterator[str]]


class Answer(Record):
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
                known.update((answer.id, answer.text) for answer in jsonl.read(path, Answer))
        return cls(path, known)

    def missing(self, model: str, prompts: Sequence[str], sampling: Sampling) -> bool:
        """Whether `model` has to be asked at all."""
        return any(_id(model, prompt, sampling) not in self.known for prompt in prompts)

    def ask(
        self, model: str, label: str, prompts: Sequence[str], sampling: Sampling, chat: Chat, progress: Progress
    ) -> list[str]:
        """One answer a prompt, each with a seed of its own. model: what the answers depend on, beside prompt and sampling."""
        self._rewrite(self.known)
        with progress.task(label, len(prompts), "answers") as task:
            for prompt in prompts:
                number = _id(model, prompt, sampling)
                if number not in self.known:
                    message = Message(role="user", content=prompt)
                    seeded = sampling.model_copy(update={"seed": seed_of(prompt, sampling)})
                    self._add(number, "".join(chat([message], seeded)).strip())
                self.used[number] = self.known[number]
                task.advance()
        return [self.used[_id(model, prompt, sampling)] for prompt in prompts]

    def keep_used(self) -> None:
        """Forget what this run did not ask for, so that the file does not grow from version to version."""
        self._rewrite(self.used)

    def _add(self, number: str, text: str) -> None:
        self.known[number] = text
        with atomic.writing_to(self.path), self.path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(Answer(id=number, text=text).model_dump_json() + "\n")

    def _rewrite(self, answers: dict[str, str]) -> None:
        """The file without half-written lines: what is appended later must begin on a line of its own."""
        jsonl.write(self.path, (Answer(id=number, text=text) for number, text in answers.items()))


def seed_of(prompt: str, sampling: Sampling) -> int:
    """A seed for each prompt, the same whatever other prompts there are; fits 31 bits, as every engine wants."""
    return int(content_id(prompt, str(sampling.seed)), 16) % 2**31


def _id(model: str, prompt: str, sampling: Sampling) -> str:
    return content_id(model, prompt, sampling.model_dump_json())
