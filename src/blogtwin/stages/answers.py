"""A model's answers to prompts, kept in a file as they come, so that a killed evaluation goes on where it stopped.

In: a way to ask, prompts and sampling. Out: the answers. They stay in the user's home, a file a model: a twin that was trained
again has to answer again, its base has not, in no project. A line that is broken costs its answer and no other.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from blogtwin import atomic, jsonl
from blogtwin.errors import BrokenRecord
from blogtwin.progress import Progress
from blogtwin.records import Message, Record, Sampling, content_id
from blogtwin.runtimes.answer import Answer
from blogtwin.workspace import home

_WORTH_SAYING = 120.0  # seconds
_FILES = 40  # models whose answers are kept: a few versions of a few twins

Before = Mapping[str, Sequence[Message]]  # prompt → what stands before it in the conversation
Chat = Callable[[Sequence[Message], Sampling], Answer]


class Kept(Record):
    """id: a hash of the model, the prompt and the sampling. text: what the model said."""

    id: str
    text: str


@dataclass
class Answers:
    """The answers in the file `path`. broken: how many of its lines were none."""

    path: Path
    known: dict[str, str] = field(default_factory=dict)
    broken: int = 0
    _writing: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def of(cls, model: str) -> Answers:
        """Those of one model, kept in the user's home; of models that were not asked for longest the files are removed."""
        folder = home() / "answers"
        path = folder / f"{content_id(model)}.jsonl"
        others = [other for other in folder.glob("*.jsonl") if other != path]
        for old in sorted(others, key=lambda other: other.stat().st_mtime)[: -_FILES + 1]:
            old.unlink(missing_ok=True)
        return cls.at(path)

    @classmethod
    def at(cls, path: Path) -> Answers:
        """The answers that earlier runs left in a file, wherever one of its lines is broken."""
        found = cls(path)
        if path.is_file():
            for number, raw in enumerate(path.read_bytes().splitlines(), start=1):
                try:
                    answer = jsonl.parse(path, number, raw, Kept)
                    found.known[answer.id] = answer.text
                except BrokenRecord:
                    found.broken += 1
        return found

    def missing(self, model: str, prompts: Sequence[str], sampling: Sampling, before: Before | None = None) -> int:
        """How many of the prompts `model` has to be asked."""
        return len(set(_ids(model, prompts, sampling, before or {})) - self.known.keys())

    def ask(
        self,
        model: str,
        label: str,
        prompts: Sequence[str],
        sampling: Sampling,
        chat: Chat,
        progress: Progress,
        at_once: int = 1,
        before: Before | None = None,
    ) -> list[str]:
        """One answer a prompt, in their order, each with a seed of its own, so that others change nothing.

        model: what the answers depend on, beside prompt and sampling. before: what stands before some prompts. at_once: how
        many are asked at the same time; engines that compute several together may round them in another way, so that only 1
        gives the same words in every run.
        What fails or is interrupted stops the others; the answers that were whole by then are kept.
        """
        if self.broken:
            progress.note(
                f"{self.path}: {self.broken} broken lines are left out; the other {len(self.known)} answers stay"
            )
        self._mend()
        numbers = _ids(model, prompts, sampling, before or {})
        missing = {
            number: [*(before or {}).get(prompt, ()), Message(role="user", content=prompt)]
            for number, prompt in zip(numbers, prompts, strict=True)
            if number not in self.known
        }
        many = len(set(numbers))
        with progress.task(label, many, "answers") as task:
            task.advance(many - len(missing))
            began = time.monotonic()
            with contextlib.closing(_together(missing, sampling, chat, at_once, self._add)) as answered:
                for done, _ in enumerate(answered, start=1):
                    task.advance()
                    if done == at_once:
                        left = (time.monotonic() - began) / done * (len(missing) - done)
                        _say_how_long(label, left, progress)
        return [self.known[number] for number in numbers]

    def _add(self, number: str, text: str) -> None:
        self.known[number] = text
        with self._writing, atomic.writing_to(self.path), self.path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(Kept(id=number, text=text).model_dump_json() + "\n")

    def _mend(self) -> None:
        """The file without half-written lines: what is appended must begin on a line of its own."""
        jsonl.write(self.path, (Kept(id=number, text=text) for number, text in self.known.items()))
        self.broken = 0


def _together(
    asked: Mapping[str, Sequence[Message]],
    sampling: Sampling,
    chat: Chat,
    at_once: int,
    keep: Callable[[str, str], None],
) -> Generator[None]:
    """Ask every conversation, `at_once` of them at the same time; yields once for each that is finished.

    Each answer is kept by whoever has it, in the moment it is whole: a failure of another must not cost it.
    """
    running: set[Answer] = set()
    ended = threading.Event()

    def answer(number: str, messages: Sequence[Message]) -> None:
        seeded = sampling.model_copy(update={"seed": seed_of(messages[-1].content, sampling)})
        if ended.is_set():
            return
        try:
            pieces = chat(messages, seeded)
            running.add(pieces)
            said = "" if ended.is_set() else "".join(pieces).strip()
        except BaseException:
            ended.set()  # before this thread begins with the next
            raise
        running.discard(pieces)
        if not ended.is_set():
            keep(number, said)

    pool = ThreadPoolExecutor(max(1, at_once), "answer")
    try:
        for finished in as_completed([pool.submit(answer, *one) for one in asked.items()]):
            yield finished.result()
    finally:  # also when one failed, or Ctrl-C was pressed
        ended.set()
        pool.shutdown(wait=False, cancel_futures=True)
        for pieces in tuple(running):
            pieces.close()
        pool.shutdown()


def _say_how_long(label: str, seconds: float, progress: Progress) -> None:
    if seconds > _WORTH_SAYING:
        progress.note(f"{label}: about {round(seconds / 60)} minutes; what is answered is kept, whatever happens")


def seed_of(prompt: str, sampling: Sampling) -> int:
    """A seed for each prompt, the same whatever other prompts there are; fits 31 bits, as every engine wants."""
    return int(content_id(prompt, str(sampling.seed)), 16) % 2**31


def _ids(model: str, prompts: Sequence[str], sampling: Sampling, before: Before) -> list[str]:
    told = sampling.model_dump_json()
    return [
        content_id(model, prompt, told, *(f"{turn.role} {turn.content}" for turn in before.get(prompt, ())))
        for prompt in prompts
    ]
