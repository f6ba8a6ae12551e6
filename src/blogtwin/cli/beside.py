"""Prompts typed, answers of base and twin beside each other as they are written. Ctrl-C stops an answer, Ctrl-D ends."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from blogtwin.cli import console

if TYPE_CHECKING:
    from blogtwin.runtimes.answer import Answer

NAMES = ("base", "twin")
_LOOKS = 0.1  # seconds between two looks at what has come


def converse(ask: Callable[[str], tuple[Answer, Answer]]) -> None:
    """Until the input ends. Where stdout is no terminal, the base's answer is printed first, then the twin's."""
    console.remark("type a prompt; Ctrl-C stops an answer, Ctrl-D ends")
    for prompt in _typed():
        answers = ask(prompt)
        with contextlib.suppress(KeyboardInterrupt):
            if sys.stdout.isatty():
                _together(answers)
            else:
                _in_turn(answers)
        for answer in answers:
            answer.close()


def _typed() -> Iterator[str]:
    while True:
        if sys.stdin.isatty():
            sys.stderr.write("\n› ")
            sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line.strip()


def _in_turn(answers: Sequence[Answer]) -> None:
    for name, answer in zip(NAMES, answers, strict=True):
        console.stream(f"── {name} ──\n")
        for piece in answer:
            console.stream(piece)
        console.stream("\n")


def _together(answers: Sequence[Answer]) -> None:
    """Both at once, each in half of the width."""
    texts, failures = [""] * len(answers), list[BaseException]()

    def collect(number: int) -> None:
        try:
            for piece in answers[number]:
                texts[number] += piece
        except Exception as fault:
            failures.append(fault)

    threads = [threading.Thread(target=collect, args=(number,), daemon=True) for number in range(len(answers))]
    for thread in threads:
        thread.start()
    try:
        with console.live_columns(NAMES) as show:
            while any(thread.is_alive() for thread in threads):
                threads[0].join(_LOOKS)
                show(texts)
    except KeyboardInterrupt:
        for answer in answers:
            answer.close()
        raise
    if failures:
        raise failures[0]
