"""What is wrong with an answer, whatever it says: empty, far too short, looping, in the wrong language, copied, off its subject.

In: answers, and what the other measures found. Out: a list of Faults, each with its reason in words, in the order of the answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from blogtwin.evaluation.copying import Copying
from blogtwin.evaluation.diversity import Diversity
from blogtwin.evaluation.language import Languages
from blogtwin.evaluation.relevance import Relevance
from blogtwin.evaluation.words import prose, unspaced, words
from blogtwin.records import Record

SHORT = 20  # words; no post of anybody's is shorter
_ROUND = 0.2  # of an answer's words, in loops

FaultKind = Literal["empty", "too short", "looping", "wrong language", "copied", "off topic"]


class Fault(Record):
    """One fault of one answer, counted from 0."""

    answer: int
    kind: FaultKind
    reason: str


def faults(
    answers: Sequence[str], repetition: Diversity, languages: Languages, copied: Copying, relevant: Relevance
) -> tuple[Fault, ...]:
    """The faults of `answers`, of which the other four are measures. An empty answer has no other fault."""
    lengths = [len(words(prose(answer))) for answer in answers]
    out = [
        Fault(answer=number, kind="empty", reason="it says nothing")
        if not length
        else Fault(answer=number, kind="too short", reason=f"it has {length} word{'s' * (length > 1)}")
        for number, length in enumerate(lengths)
        if length < SHORT * (2 if unspaced(answers[number]) else 1)
    ]
    out += [
        Fault(answer=one.answer, kind="looping", reason=f"it says “{_clipped(one.text)}” {one.rounds} times in a row")
        for one in repetition.loops
        if one.words >= _ROUND * lengths[one.answer]
    ]
    out += [
        Fault(answer=number, kind="wrong language", reason=f"it is in another language than asked for: {language}")
        for number, language in languages.wrong.items()
    ]
    out += [
        Fault(answer=number, kind="copied", reason=f"it repeats {copied.longest[number]} words of a training post")
        for number in copied.copied
    ]
    out += [
        Fault(answer=number, kind="off topic", reason="it has no word of weight from its prompt")
        for number in relevant.off_topic
    ]
    return tuple(sorted((one for one in out if one.kind == "empty" or lengths[one.answer]), key=lambda one: one.answer))


def _clipped(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 80 else line[:79] + "…"
