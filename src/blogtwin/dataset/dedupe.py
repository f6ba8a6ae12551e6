"""Posts that say the same thing, and which one of them stays.

In: cards and signatures of posts. Out: how alike each pair is, and the posts to leave out. MinHash finds the pairs that may be
alike (Broder, 1997, On the resemblance and containment of documents); their true Jaccard likeness decides.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from blogtwin.dataset.cards import Card
from blogtwin.dataset.sketches import PERMUTATIONS

Pair = tuple[int, int]  # places of two posts, the lower first
Likeness = dict[Pair, float]  # 0 to 1
Signatures = np.ndarray[tuple[int, int], np.dtype[np.uint16]]  # shape (posts, PERMUTATIONS)

# Bands of two values find 99.7% of the pairs that share 0.3, but also one pair in forty of those that share 0.02: nothing among
# ten thousand posts. Among more, bands of three find 78% of those that share 0.33, and all that share 0.6.
_BANDS, _BANDS_OF_MANY, _MANY = (64, 2), (42, 3), 10_000
# In a bucket of more, each is compared with the first few and with its neighbour alone: a thousand versions of one text are tied
# together by a few thousand comparisons, not by half a million.
_SMALL = 32
_FIRST_FEW = 8
_AT_A_TIME = 16384  # pairs whose signatures are compared in one go: 4 MB


@dataclass(frozen=True)
class Duplicate:
    """A post to leave out, by its place. likeness: 1.0 when only case, punctuation or white space differ."""

    place: int
    of: int
    likeness: float
    why: str


def by_rank(cards: Sequence[Card]) -> list[int]:
    """Places of the posts, the one to keep first: the newer, for it is the author's last word; else the longer."""
    return sorted(range(len(cards)), key=lambda place: _rank(cards[place]), reverse=True)


def exact_copies(cards: Sequence[Card]) -> list[Duplicate]:
    """Posts whose words are those of one that ranks higher."""
    first: dict[int, int] = {}
    out: list[Duplicate] = []
    for place in by_rank(cards):
        same = first.setdefault(cards[place].text, place)
        if same != place:
            out.append(Duplicate(place, same, 1.0, _why(cards[same], cards[place])))
    return sorted(out, key=lambda one: one.place)


def likenesses(
    signatures: Signatures, at_least: float, compare: Callable[[Iterable[Pair]], Iterable[float]]
) -> Likeness:
    """Every pair whose Jaccard likeness is `at_least` this (0 to 1, exclusive of 0).

    signatures: in the order of rank, best first. compare: the true likeness of each pair, in order.
    """
    likely = sorted(_candidates(signatures, at_least))
    return {pair: likeness for pair, likeness in zip(likely, compare(likely), strict=True) if likeness >= at_least}


def _candidates(signatures: Signatures, at_least: float) -> set[Pair]:
    """Pairs that share a band and whose estimated likeness is no more than four standard errors below the bound."""
    from datasketch import MinHashLSH

    bands = MinHashLSH(num_perm=PERMUTATIONS, params=_BANDS if len(signatures) <= _MANY else _BANDS_OF_MANY)
    # An estimate: a pair that is missed would stand on both sides of the split.
    least = at_least - 4 * math.sqrt(at_least * (1 - at_least) / PERMUTATIONS)
    found: set[Pair] = set()
    for start, end in bands.hashranges:
        found_here = _in_one_bucket(signatures[:, start:end])
        pairs = np.fromiter(itertools.chain.from_iterable(found_here), np.int64)
        pairs = pairs.reshape(-1, 2)
        for first in range(0, len(pairs), _AT_A_TIME):
            some = pairs[first : first + _AT_A_TIME]
            equal = (signatures[some[:, 0]] == signatures[some[:, 1]]).mean(axis=1)
            found.update((int(one), int(other)) for one, other in some[equal >= least])
    return found


def _in_one_bucket(band: Signatures) -> Iterator[Pair]:
    """Places of rows that are equal, in pairs."""
    keys = np.zeros(len(band), np.uint64)
    for column in band.T:
        keys = keys * np.uint64(0x9E3779B97F4A7C15) + column + np.uint64(1)
    order = np.argsort(keys, kind="stable")
    ends = np.flatnonzero(np.diff(keys[order], append=keys[order[-1:]] + np.uint64(1))) + 1
    starts = np.concatenate(([0], ends[:-1])).astype(np.int64)
    for start, end in zip(starts[ends - starts > 1].tolist(), ends[ends - starts > 1].tolist(), strict=True):
        bucket = order[start:end].tolist()
        for number, place in enumerate(bucket):
            others = (
                bucket[:number] if len(bucket) <= _SMALL else {*bucket[: min(number, _FIRST_FEW)], bucket[number - 1]}
            )
            yield from ((other, place) for other in others if other < place)


def duplicates(cards: Sequence[Card], pairs: Mapping[Pair, float], threshold: float) -> list[Duplicate]:
    """The posts to leave out so that no two that were compared are alike by `threshold`.

    The newer of two stays, for it is the author's last word on the matter; of two without a date that means anything (the
    file system's own does not: it is the day of the copy), or of the same day, the longer.
    """
    near: dict[int, list[tuple[float, int]]] = {}
    for (one, other), likeness in pairs.items():
        if likeness >= threshold:
            near.setdefault(one, []).append((likeness, other))
            near.setdefault(other, []).append((likeness, one))
    kept: set[int] = set()
    out: list[Duplicate] = []
    for place in sorted(near, key=lambda place: _rank(cards[place]), reverse=True):
        likeness, nearest = max((one for one in near[place] if one[1] in kept), default=(0.0, -1))
        if nearest < 0:
            kept.add(place)
        else:
            out.append(Duplicate(place, nearest, likeness, _why(cards[nearest], cards[place])))
    return sorted(out, key=lambda one: one.place)


def _rank(card: Card) -> tuple[str, int, str]:
    return card.day, card.words, card.path


def _why(kept: Card, dropped: Card) -> str:
    if kept.day != dropped.day:
        return "the newer one is kept"
    return "the longer one is kept" if kept.words != dropped.words else "one of them is kept"
