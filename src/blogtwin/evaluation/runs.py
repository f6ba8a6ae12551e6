"""Where texts repeat posts, word for word or nearly so. In: lists of words. Out: runs of words that both have, as places in both.

The texts are held in memory as hashed sequences of a few words, and the posts pass by one after the other: memory grows
with the texts, not with the posts. Ten thousand posts take as long as cutting them into words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]

GAP = 3  # words that may differ between two runs of one passage
_TIMES = 3  # places of one sequence in one text that are followed; a text that loops has hundreds
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no word is lost in the product


class Runs(NamedTuple):
    """Longest runs of equal words, one a place in each array: text, post, first word in each, and how many words."""

    text: Ints
    post: Ints
    at: Ints
    there: Ints
    length: Ints


class Stretch(NamedTuple):
    """Runs that follow each other closely in a text and in a post: `matched` of the `length` words of the text are the post's."""

    text: int
    post: int
    at: int
    there: int
    length: int
    length_there: int
    matched: int


class Words:
    """Texts as numbers, one a different word; 0 is any word that none of them has."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        self._numbers: dict[str, int] = {}
        self.texts = [self._learn(text) for text in texts]

    def _learn(self, text: Sequence[str]) -> Ints:
        numbers = self._numbers
        return np.array([numbers.setdefault(word, len(numbers) + 1) for word in text], dtype=np.int64)

    def read(self, text: Sequence[str]) -> Ints:
        """Another text, in the same numbers."""
        known = self._numbers.get
        return np.array([known(word, 0) for word in text], dtype=np.int64)


def sequences(numbers: Ints, length: int) -> Hashes:
    """A hash of each `length` words in a row, shape (words - length + 1,); 0 where one of them is unknown."""
    places = len(numbers) - length + 1
    if places < 1:
        return np.zeros(0, np.uint64)
    out = np.zeros(places, np.uint64)
    known = np.ones(places, bool)
    for offset in range(length):
        part = numbers[offset : offset + places]
        out = (out ^ (out >> np.uint64(29))) * _FACTOR + part.astype(np.uint64)
        known &= part > 0
    return np.where(known, out | np.uint64(1), np.uint64(0))


def find_runs(
    texts: Words, posts: Iterable[Sequence[str]], prompts: Sequence[Sequence[str]], own: Sequence[int], seed: int
) -> Runs:
    """Every run of `seed` words and more that a text shares with a post.

    prompts: for each text, words that it may repeat. own: for each text, the number of a post that does not count (-1: none).
    """
    hashes, text_of, at_of = _seeds(texts, prompts, seed)
    distinct, first, many = np.unique(hashes, return_index=True, return_counts=True)
    barred = np.array(own, dtype=np.int64)
    found: list[tuple[Ints, Ints, Ints, Ints]] = []
    for number, post in enumerate(posts):
        theirs = sequences(texts.read(post), seed)
        if not len(distinct) or not len(theirs):
            continue
        slot = np.minimum(np.searchsorted(distinct, theirs), len(distinct) - 1)
        there = np.flatnonzero((distinct[slot] == theirs) & (theirs > 0))
        if not len(there):
            continue
        slot = slot[there]
        times = many[slot]
        offsets = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
        place = np.repeat(first[slot], times) + offsets
        keep = barred[text_of[place]] != number
        place, there = place[keep], np.repeat(there, times)[keep]
        if not len(place):
            continue
        found.append((text_of[place], np.full(len(place), number), at_of[place], there))
    if not found:
        nothing = np.zeros(0, np.int64)
        return Runs(nothing, nothing, nothing, nothing, nothing)
    text, post_of, at, there = (np.concatenate(column) for column in zip(*found, strict=True))
    return _joined(text, post_of, at, there, seed)


def _seeds(texts: Words, prompts: Sequence[Sequence[str]], seed: int) -> tuple[Hashes, Ints, Ints]:
    """The sequences that are looked for, in the order of their hashes: those that the prompt does not have itself."""
    parts = []
    for number, (text, prompt) in enumerate(zip(texts.texts, prompts, strict=True)):
        mine = sequences(text, seed)
        at = np.flatnonzero(~np.isin(mine, sequences(texts.read(prompt), seed)))
        at = at[_occurrence(mine[at]) < _TIMES]
        parts.append((mine[at], np.full(len(at), number), at))
    if not parts:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    hashes, text_of, at_of = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(hashes, kind="stable")
    return hashes[order], text_of[order], at_of[order]


def _occurrence(hashes: Hashes) -> Ints:
    """For each element how many equal ones stand before it."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    begins = np.r_[True, ordered[1:] != ordered[:-1]] if len(ordered) else np.zeros(0, bool)
    starts = np.maximum.accumulate(np.where(begins, np.arange(len(ordered)), 0))
    out = np.empty(len(hashes), np.int64)
    out[order] = np.arange(len(ordered)) - starts
    return out


def _joined(text: Ints, post: Ints, at: Ints, there: Ints, seed: int) -> Runs:
    """Equal sequences that follow each other in both, as one run."""
    diagonal = at - there
    order = np.lexsort((at, diagonal, post, text))
    text, post, at, there, diagonal = (column[order] for column in (text, post, at, there, diagonal))
    same = (text[1:] == text[:-1]) & (post[1:] == post[:-1]) & (diagonal[1:] == diagonal[:-1])
    # A sequence left out between two that overlap is equal word for word all the same.
    begins = np.flatnonzero(np.r_[True, ~(same & (at[1:] - at[:-1] <= seed))])
    ends = np.r_[begins[1:], len(at)] - 1
    return Runs(text[begins], post[begins], at[begins], there[begins], at[ends] - at[begins] + seed)


def stretches(runs: Runs, least: int, gap: int = GAP) -> list[Stretch]:
    """Passages of at least `least` equal words: runs with up to `gap` words between them, in the text and in the post."""
    if not len(runs.text):
        return []
    order = np.lexsort((-runs.length, runs.at, runs.post, runs.text))
    runs = Runs(*(column[order] for column in runs))
    pair = np.cumsum(np.r_[0, (runs.text[1:] != runs.text[:-1]) | (runs.post[1:] != runs.post[:-1])])
    # Common words inside a longer run, found elsewhere in the post as well, are no passage of their own.
    width = int((runs.at + runs.length).max()) + 1
    reach = np.maximum.accumulate(runs.at + runs.length + pair * width) - pair * width
    outer = np.r_[True, (pair[1:] != pair[:-1]) | (runs.at[1:] + runs.length[1:] > reach[:-1])]
    runs, pair = Runs(*(column[outer] for column in runs)), pair[outer]
    between = runs.at[1:] - runs.at[:-1] - runs.length[:-1]
    between_there = runs.there[1:] - runs.there[:-1] - runs.length[:-1]
    # Two runs overlap by a few words where a word was taken out between two equal ones.
    linked = (pair[1:] == pair[:-1]) & (np.minimum(between, between_there) >= -gap)
    linked &= np.maximum(between, between_there) <= gap
    begins = np.flatnonzero(np.r_[True, ~linked])
    ends = np.r_[begins[1:], len(linked) + 1] - 1
    overlap = np.r_[0, np.where(linked, np.minimum(np.minimum(between, between_there), 0), 0)]
    matched = np.add.reduceat(runs.length + overlap, begins)
    long = np.flatnonzero(matched >= least)
    return [
        Stretch(
            text=int(runs.text[begin]),
            post=int(runs.post[begin]),
            at=int(runs.at[begin]),
            there=int(runs.there[begin]),
            length=int(runs.at[end] + runs.length[end] - runs.at[begin]),
            length_there=int(runs.there[end] + runs.length[end] - runs.there[begin]),
            matched=int(matched[which]),
        )
        for which, begin, end in ((which, begins[which], ends[which]) for which in long)
    ]


def covered(runs: Runs, texts: Words, prompts: Sequence[Sequence[str]], length: int) -> list[tuple[int, int]]:
    """For each text how many of its different sequences of `length` words stand in a post, and how many it has in all.

    Those that its prompt has are in neither number.
    """
    out = []
    order = np.argsort(runs.text, kind="stable")
    bounds = np.searchsorted(runs.text[order], np.arange(len(texts.texts) + 1))
    for number, (text, prompt) in enumerate(zip(texts.texts, prompts, strict=True)):
        mine = sequences(text, length)
        counts = (_occurrence(mine) == 0) & ~np.isin(mine, sequences(texts.read(prompt), length))
        own = order[bounds[number] : bounds[number + 1]]
        own = own[runs.length[own] >= length]
        edges = np.zeros(len(mine) + 1, np.int64)
        np.add.at(edges, runs.at[own], 1)
        np.add.at(edges, runs.at[own] + runs.length[own] - length + 1, -1)
        inside = np.cumsum(edges)[:-1] > 0
        out.append((int((inside & counts).sum()), int(counts.sum())))
    return out
