"""Answers of an evaluation: in the order of the prompts however many are asked at once, kept when a run is cut off."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from blogtwin.errors import RuntimeUnavailable
from blogtwin.progress import Silent
from blogtwin.records import Artifact, Message, Sampling
from blogtwin.runtimes.answer import Answer, Connection
from blogtwin.runtimes.llama_cpp import LlamaCpp
from blogtwin.stages.answers import Answers
from test_export import SAMPLING
from tiny_models import QUESTIONS, conversation

PROMPTS = [f"Write about day {number}." for number in range(9)]


class Slow:
    """Answers with prompt and seed, the later prompts first. fails: the prompt that gets no answer."""

    def __init__(self, fails: str = "") -> None:
        self.fails, self.asked = fails, 0
        self.most = self._now = 0
        self._lock = threading.Lock()

    def chat(self, messages: Sequence[Message], options: Sampling) -> Answer:
        def pieces(connection: Connection) -> Generator[str]:
            prompt = messages[-1].content
            with self._lock:
                self.asked += 1
                self._now += 1
                self.most = max(self.most, self._now)
            time.sleep(0.02 * (len(PROMPTS) - PROMPTS.index(prompt)))
            with self._lock:
                self._now -= 1
            if prompt == self.fails:
                raise RuntimeUnavailable("it is gone", "")
            yield f"{prompt} {options.seed}"

        return Answer(pieces)


def ask(path: Path, model: Slow, at_once: int) -> list[str]:
    return Answers.at(path).ask("twin", "Answers", PROMPTS, SAMPLING, model.chat, Silent(), at_once)


@pytest.mark.parametrize("at_once", [2, 4, 20])
def test_the_answers_are_the_same_and_in_order_however_many_are_asked_at_once(tmp_path: Path, at_once: int) -> None:
    one, several = Slow(), Slow()
    alone = ask(tmp_path / "one.jsonl", one, 1)
    assert [text.rpartition(" ")[0] for text in alone] == PROMPTS
    assert ask(tmp_path / "several.jsonl", several, at_once) == alone
    assert one.most == 1
    assert several.most == min(at_once, len(PROMPTS))


def test_a_prompt_that_stands_twice_is_asked_once(tmp_path: Path) -> None:
    model = Slow()
    told = Answers.at(tmp_path / "a.jsonl").ask("twin", "", PROMPTS[:2] * 2, SAMPLING, model.chat, Silent(), 4)
    assert told[:2] == told[2:]
    assert model.asked == 2


@pytest.mark.parametrize("at_once", [1, 3])
def test_what_was_answered_before_a_failure_is_kept_and_not_asked_again(tmp_path: Path, at_once: int) -> None:
    path = tmp_path / "answers.jsonl"
    with pytest.raises(RuntimeUnavailable, match="gone"):
        ask(path, Slow(fails=PROMPTS[6]), at_once)
    kept = len(Answers.at(path).known)
    assert kept >= 3
    again = Slow()
    assert ask(path, again, at_once) == ask(tmp_path / "fresh.jsonl", Slow(), 1)
    assert again.asked == len(PROMPTS) - kept


def test_an_interruption_stops_the_answers_that_are_being_written(tmp_path: Path, artifact: Artifact) -> None:
    runtime = LlamaCpp(threads=1)
    runtime.install(artifact.model_copy(update={"context_length": 32768}), "my-twin", Silent())
    began = threading.Event()

    def chat(messages: Sequence[Message], options: Sampling) -> Answer:
        if messages[-1].content == PROMPTS[3]:
            assert began.wait(30)
            raise KeyboardInterrupt
        return runtime.chat("my-twin", conversation(QUESTIONS[2]), SAMPLING.greedy(100_000))  # it loops

    def watch() -> None:
        with runtime._asking("my-twin"):
            time.sleep(0.5)  # the others are in the middle of their answers
        began.set()

    threading.Thread(target=watch).start()
    began_at = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Answers.at(tmp_path / "a.jsonl").ask("twin", "", PROMPTS, SAMPLING, chat, Silent(), 4)
    assert time.monotonic() - began_at < 20
    runtime.release()
    with runtime._asking("my-twin") as server, server.client() as client:
        until = time.monotonic() + 30  # the whole answer would take minutes; a busy machine takes a moment to stop
        while any(slot["is_processing"] for slot in client.get("/slots").json()):
            assert time.monotonic() < until
            time.sleep(0.05)
