"""Are the answers as long as the author's posts? In: texts of twin and author. Out: their lengths beside each other.

An answer ends when the model ends it or at its token limit; the share that ends in the middle of a sentence tells which.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from math import log2

from blogtwin.evaluation.words import paragraphs, prose, words
from blogtwin.records import Record

# A sentence's end and whatever closes behind it; or a line that needs none: an item, a heading, a row of a table, code.
_ENDED = re.compile(r"(?:[^\w\s,;(\[、，–—-]|_)\s*\Z")
_DEFINITION = re.compile(r"^ {0,3}\[[^\]\n]+\]:[ \t].*$", re.MULTILINE)  # [label]: address, which no reader sees
_NO_SENTENCE = re.compile(r"^\s*(?:[-*+#>|]|\d+[.)]|`{3}|~{3}| {4}|\t)")


class Length(Record):
    """Words of twin and author. ratio: of the medians; 1 is a match. distance: between the two distributions, in doublings.

    quartiles: 25th, 50th and 75th percentile. unfinished: the share of the texts that stop in mid-sentence, most of them
    at the token limit. empty: how many answers have no word.
    """

    twin_quartiles: tuple[float, float, float]
    author_quartiles: tuple[float, float, float]
    ratio: float | None
    distance: float | None
    twin_unfinished: float
    author_unfinished: float
    empty: int
    remarks: tuple[str, ...] = ()


def length_match(answers: Sequence[str], posts: Sequence[str]) -> Length:
    """The lengths of `answers` beside those of the author's `posts`; the two need not be as many.

    The distance is the earth mover's between the logarithms of the lengths: 1 means that one side would have to be
    doubled, or halved, all over. (In one dimension: the area between the two quantile functions.)
    """
    mine, theirs = _lengths(answers), _lengths(posts)
    known = bool(mine and theirs)
    twin, author = _quartiles(mine), _quartiles(theirs)
    unfinished = _share_unfinished(answers), _share_unfinished(posts)
    return Length(
        twin_quartiles=twin,
        author_quartiles=author,
        ratio=twin[1] / author[1] if known and author[1] else None,
        distance=_moved([log2(one + 1) for one in mine], [log2(one + 1) for one in theirs]) if known else None,
        twin_unfinished=unfinished[0],
        author_unfinished=unfinished[1],
        empty=sum(not one for one in mine),
        remarks=_remarks(twin[1], author[1], unfinished, sum(not one for one in mine), len(mine)) if known else (),
    )


def unfinished(text: str) -> bool:
    """Whether a text stops in the middle of a sentence."""
    blocks = paragraphs(_DEFINITION.sub("", text).strip())
    if not blocks:
        return False
    last = blocks[-1].rstrip().split("\n")[-1]
    return not _ENDED.search(last) and not _NO_SENTENCE.match(last)


def _lengths(texts: Sequence[str]) -> list[int]:
    return sorted(len(words(prose(text))) for text in texts)


def _quartiles(ordered: Sequence[float]) -> tuple[float, float, float]:
    return (_quantile(ordered, 0.25), _quantile(ordered, 0.5), _quantile(ordered, 0.75))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Linear between neighbours."""
    if not ordered:
        return 0.0
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _moved(one: Sequence[float], other: Sequence[float]) -> float:
    """The earth mover's distance of two sorted samples."""
    cuts = sorted({place / len(one) for place in range(len(one) + 1)} | {n / len(other) for n in range(len(other) + 1)})
    area = 0.0
    for low, high in pairwise(cuts):
        middle = (low + high) / 2
        area += (high - low) * abs(one[int(middle * len(one))] - other[int(middle * len(other))])
    return area


def _share_unfinished(texts: Sequence[str]) -> float:
    return sum(map(unfinished, texts)) / len(texts) if texts else 0.0


def _remarks(twin: float, author: float, unfinished: tuple[float, float], empty: int, answers: int) -> tuple[str, ...]:
    out = []
    if empty:
        out.append(f"{empty} of {answers} answers are empty")
    if author and not 0.5 <= twin / author <= 2:
        than = "shorter" if twin < author else "longer"
        out.append(f"the answers are {than} than your posts: {twin:.0f} words at the median, yours {author:.0f}")
    if unfinished[0] > max(0.2, 2 * unfinished[1]):
        out.append(f"{unfinished[0]:.0%} of the answers stop in mid-sentence: raise evaluation.max_tokens")
    return tuple(out)
