"""What an edit says: the places where a reader changed a draft. In: a draft and its edited text. Out: Changes.

A text of forty sentences of which two were changed says nothing about the other thirty-eight, and taken as a pair it would mostly
teach what stands in both: the better answer, learned as an example beside the comparison, is the draft itself, and in ratings
the same words would be good in one answer and bad in the other. So an edit gives one Change for each place that lies apart
from the others: both texts from their beginning, as the reader wants it, up to where they meet again, with one sentence
more. What both begin with is given in training and not learned (training/rows.py): it cancels out of the comparison anyway.

Trivial edits say nothing: other white space, and a typo, which is one word of four letters or more in which one letter was
added, left out, replaced, or swapped with the next (two in a word of eight letters or more). Punctuation, case and figures are
no typos: they are part of how somebody writes, or of what is true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from blogtwin.dataset.sections import sentences

_APART = 200  # characters that two changes share between them; nearer ones are one change
_TYPO_IN, _LONG_WORD = 4, 8  # letters
_LINE = re.compile(r"[^\n]*\n+|[^\n]+$")
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Change:
    """better, worse: both texts up to where they meet again. goes_on: the edited text goes on after that."""

    better: str
    worse: str
    goes_on: bool


def changes(draft: str, edited: str) -> list[Change]:
    """The changes that are not trivial, in their order; none when the texts say the same."""
    old, new = _units(draft.strip()), _units(edited.strip())
    found: list[Change] = []
    for first_old, end_old, first_new, end_new in _runs(old, new):
        was, now = "".join(old[first_old:end_old]), "".join(new[first_new:end_new])
        if trivial(was, now):
            continue
        before, meeting = "".join(new[:first_new]), "".join(new[end_new : end_new + 1])
        better, worse = f"{before}{now}{meeting}".strip(), f"{before}{was}{meeting}".strip()
        found.append(Change(better, worse, end_new + 1 < len(new)))
    return found


def trivial(one: str, other: str) -> bool:
    """Whether two texts differ by white space or by one typo alone."""
    one, other = " ".join(one.split()), " ".join(other.split())
    if one == other:
        return True
    if _WORD.sub("", one) != _WORD.sub("", other):
        return False
    pairs = [pair for pair in zip(_WORD.findall(one), _WORD.findall(other), strict=True) if pair[0] != pair[1]]
    return len(pairs) == 1 and _typo(*pairs[0])


def _typo(one: str, other: str) -> bool:
    if one.casefold() == other.casefold() or min(len(one), len(other)) < _TYPO_IN:
        return False
    return _distance(one, other) <= (2 if max(len(one), len(other)) >= _LONG_WORD else 1)


def _distance(one: str, other: str) -> int:
    """Letters added, left out, replaced or swapped with the next (optimal string alignment)."""
    if abs(len(one) - len(other)) > 2:
        return 3
    above: list[int] = []
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, start=1):
        last, row = row, [place]
        for at, its in enumerate(other, start=1):
            best = min(last[at] + 1, row[at - 1] + 1, last[at - 1] + (letter != its))
            if place > 1 and at > 1 and letter == other[at - 2] and one[place - 2] == its:
                best = min(best, above[at - 2] + 1)
            row.append(best)
        above = last
    return row[-1]


def _units(text: str) -> list[str]:
    """Sentences with the white space behind them, none across a line's end; "".join gives the text back."""
    return [unit for line in _LINE.findall(text) for unit in sentences(line)]


def _runs(old: list[str], new: list[str]) -> Iterator[tuple[int, int, int, int]]:
    """Where the sentences differ: first and end in the old, first and end in the new; runs that lie near are one."""
    matcher = SequenceMatcher(None, _plain(old), _plain(new), autojunk=False)
    codes = [code[1:] for code in matcher.get_opcodes() if code[0] != "equal"]
    held: tuple[int, int, int, int] | None = None
    for first_old, end_old, first_new, end_new in codes:
        if held and sum(map(len, new[held[3] : first_new])) < _APART:
            held = (held[0], end_old, held[2], end_new)
        else:
            if held:
                yield held
            held = (first_old, end_old, first_new, end_new)
    if held:
        yield held


def _plain(units: list[str]) -> list[str]:
    return [" ".join(unit.split()) for unit in units]
