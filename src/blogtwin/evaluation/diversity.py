"""Does a model repeat itself, within an answer and from one answer to the next? In: texts of each side. Out: a Diversity a side.

Longer texts repeat more words whoever writes them, so all sides are measured over windows of the same length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from blogtwin.evaluation.words import cut, prose, sentences, unspaced, words
from blogtwin.records import Record

WINDOWS = (200, 100, 50, 25)  # words; the longest that most texts of every side have
LOOP = 8  # words of a loop that are repeated, at least; "no, no, no" is style
_PERIOD = 200  # words; a longer part that comes again is found sentence by sentence
_SENTENCE = 4  # words; shorter ones, such as "I see.", may well come twice
_OPENING = 3  # words


class Loop(Record):
    """A part said again and again, back to back. text: the part; rounds: how often; words: of all rounds together."""

    answer: int
    text: str
    rounds: int
    words: int


class Diversity(Record):
    """One side. distinct_1, _2, _3: different sequences over all, in windows of `window` words; None where no text is so long.

    looping: share of the words that only go round; loops: the longest of each text that has one, longest first.
    repeated_sentences: share of the sentences that stood in the same text before; shared_sentences: in another text of the side.
    opening: the commonest first words, and opens: how many of the texts begin with them.
    """

    texts: int
    window: int | None
    distinct_1: float | None
    distinct_2: float | None
    distinct_3: float | None
    looping: float
    loops: tuple[Loop, ...]
    repeated_sentences: float
    shared_sentences: float
    opening: str
    opens: int


def diversity(sides: Mapping[str, Sequence[str]]) -> dict[str, Diversity]:
    """Each side's repetition, all at the same length. sides: name → texts, such as twin, base, author.

    distinct-n: Li et al., 2016, A Diversity-Promoting Objective Function for Neural Conversation Models, NAACL; the mean over
    windows of fixed length, as Covington and McFall, 2010, J. Quantitative Linguistics 17(2), do for the type-token ratio.
    """
    spoken = {name: [prose(text) for text in texts] for name, texts in sides.items()}
    scale = 2 if unspaced("\n".join(text[:500] for texts in spoken.values() for text in texts)) else 1
    split = {name: [words(text) for text in texts] for name, texts in spoken.items()}
    window = _window(list(split.values()), scale)
    # The author's posts are longer than the answers; sentences are compared over as many words.
    limit = min((_median([len(text) for text in texts]) for texts in split.values() if texts), default=0)
    return {name: _measured(spoken[name], split[name], window, limit, scale) for name in sides}


def _window(sides: Sequence[Sequence[Sequence[str]]], scale: int) -> int | None:
    for size in WINDOWS:
        if all(2 * sum(len(text) >= size * scale for text in texts) >= len(texts) for texts in sides):
            return size * scale
    return None


def _median(lengths: Sequence[int]) -> int:
    return sorted(lengths)[len(lengths) // 2]


def _measured(
    texts: Sequence[str], split: Sequence[Sequence[str]], window: int | None, limit: int, scale: int
) -> Diversity:
    distinct = [_distinct(split, n, window) for n in (1, 2, 3)]
    repeats, total = 0, sum(map(len, split))
    loops: list[Loop] = []
    for number, (text, units) in enumerate(zip(texts, split, strict=True)):
        rounds, longest = _loops(units, LOOP * scale)
        repeats += rounds
        if longest:
            start, period, length = longest
            part = cut(text, start + period)[len(cut(text, start)) if start else 0 :].strip()
            loops.append(Loop(answer=number, text=part, rounds=length // period, words=length))
    again, shared = _sentences([cut(text, limit) for text in texts], _SENTENCE * scale)
    opening, opens = _commonest_opening(texts, _OPENING * scale)
    return Diversity(
        texts=len(texts),
        window=window,
        distinct_1=distinct[0],
        distinct_2=distinct[1],
        distinct_3=distinct[2],
        looping=repeats / total if total else 0.0,
        loops=tuple(sorted(loops, key=lambda loop: (-loop.words, loop.answer))),
        repeated_sentences=again,
        shared_sentences=shared,
        opening=opening,
        opens=opens,
    )


def _distinct(texts: Sequence[Sequence[str]], n: int, window: int | None) -> float | None:
    """The mean over windows that follow each other; each text has the same weight."""
    if window is None:
        return None
    means = []
    for text in texts:
        shares = [
            len(set(zip(*(text[start + shift : start + window] for shift in range(n)), strict=False)))
            / (window - n + 1)
            for start in range(0, len(text) - window + 1, window)
        ]
        if shares:
            means.append(sum(shares) / len(shares))
    return sum(means) / len(means) if means else None


def _loops(units: Sequence[str], least: int) -> tuple[int, tuple[int, int, int] | None]:
    """How many words only repeat what stands a period before them, and the longest loop: first word, period, length.

    A loop is two full rounds and more, with at least `least` repeated words.
    """
    numbers: dict[str, int] = {}
    ids = np.array([numbers.setdefault(unit, len(numbers)) for unit in units], dtype=np.int64)
    again = np.zeros(len(ids), bool)
    longest: tuple[int, int, int] | None = None
    for period in range(1, min(_PERIOD, len(ids) // 2) + 1):
        edges = np.flatnonzero(np.diff(np.r_[False, ids[period:] == ids[:-period], False]))
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            length = end - start
            if length >= max(period, least):
                again[start + period : end + period] = True
                # A loop of three words is one of six as well: the shorter period is the loop.
                if longest is None or length + period > longest[2] + longest[1]:
                    longest = (start, period, length + period)
    return int(again.sum()), longest


def _sentences(texts: Sequence[str], least: int) -> tuple[float, float]:
    """Shares of the sentences that were said before in the same text, and that stand in another one."""
    said = [[key for one in sentences(text) if len(key := words(one)) >= least] for text in texts]
    keys = [[" ".join(key) for key in text] for text in said]
    total = sum(map(len, keys))
    if not total:
        return 0.0, 0.0
    in_texts = Counter(key for text in keys for key in set(text))
    again = sum(len(text) - len(set(text)) for text in keys)
    return again / total, sum(in_texts[key] > 1 for text in keys for key in text) / total


def _commonest_opening(texts: Sequence[str], length: int) -> tuple[str, int]:
    """First words, as the first of them has them, and how many texts begin so; of equals the first in the alphabet."""
    openings: dict[str, list[str]] = {}
    for text in texts:
        first = cut(text, length)
        if words(first):
            openings.setdefault(" ".join(words(first)), []).append(first)
    commonest = min(openings, key=lambda key: (-len(openings[key]), key), default="")
    return (openings[commonest][0], len(openings[commonest])) if openings else ("", 0)
