"""Answers of threads as one stream: nothing is lost, a quick model's pieces come together, a slow one's at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing

import pytest

from blogtwin.server.streaming import Voice, merged


class Told:
    """An answer of words, one every so many seconds."""

    whole = True

    def __init__(self, words: Sequence[str], seconds: float, fault: Exception | None = None) -> None:
        self._words, self._seconds, self._fault = words, seconds, fault
        self.closed = False

    def __iter__(self) -> Iterator[str]:
        for word in self._words:
            time.sleep(self._seconds)
            yield word
        if self._fault:
            raise self._fault

    def close(self) -> None:
        self.closed = True


def heard(*answers: Told) -> tuple[list[str], list[float]]:
    """The text of each answer, and when something came, in seconds from the start."""
    texts, moments = [""] * len(answers), []
    began = time.perf_counter()

    async def listen() -> None:
        async with aclosing(merged([Voice(one, asyncio.Semaphore(1)) for one in answers])) as stream:
            async for number, piece in stream:
                texts[number] += piece
                moments.append(time.perf_counter() - began)

    asyncio.run(listen())
    return texts, moments


def test_a_quick_model_is_heard_fifty_times_a_second_and_in_whole() -> None:
    words = [f"{number} " for number in range(400)]
    texts, moments = heard(Told(words, 0.001))
    assert texts == ["".join(words)]
    assert 3 < len(moments) <= moments[-1] * 50 + 2, "the first, one at each pause, and the end"


def test_each_word_of_a_slow_model_is_heard_by_itself() -> None:
    words = ["slow", "ly", " it", " goes"]
    texts, moments = heard(Told(words, 0.1))
    assert (texts, len(moments)) == (["slowly it goes"], 4)


def test_several_answers_come_side_by_side() -> None:
    texts, moments = heard(Told(["a"] * 100, 0.002), Told(["b"] * 50, 0.002), Told([], 0.0))
    assert texts == ["a" * 100, "b" * 50, ""]
    assert len(moments) < 150


def test_a_fault_is_told_after_what_came_before_it() -> None:
    answer, texts = Told(["what ", "was"], 0.001, KeyError("gone")), []

    async def listen() -> None:
        async for _, piece in merged([Voice(answer, asyncio.Semaphore(1))]):
            texts.append(piece)

    with pytest.raises(KeyError, match="gone"):
        asyncio.run(listen())
    assert "".join(texts) == "what was"
    assert answer.closed
