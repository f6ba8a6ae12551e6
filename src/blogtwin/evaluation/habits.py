"""Habits that tell writers apart: function words and their order, letters, punctuation, rhythm, vocabulary, formatting.

In: an author's posts. Out: for each habit a way to count it in a text, and the distance of such counts to the author's.
Counts of several texts are added up before a distance is taken: a habit shows in thousands of words, and the distance of
one short answer is mostly chance (Eder, 2015, Digital Scholarship in the Humanities 30(2), asks for 5,000 words).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from blogtwin.evaluation.words import SIGNS, level, paragraphs, sentences, tokens, unsigned, words

Array = NDArray[np.float64]

CHUNK = 1000  # words: pieces of the author's text, to see how much a habit varies from one to the next
FUNCTION_WORDS = 150
FUNCTION_WORD_SHARE = 0.3  # of the pieces a function word is found in; a word of one subject is not
FAVOURITES = 300
SEGMENT = 50  # words
WORD_LENGTHS = ((1, 3), (4, 6), (7, 9), (10, 99))  # characters
NGRAMS = 2000
FORMATS = (
    r"\n#{1,6} |\n[^\n]+\n(?:=+|-+)[ \t]*(?=\n)",  # headings, by a mark or underlined
    r"\n[ \t]*[-*+] ",  # items
    r"\n[ \t]*\d+[.)] ",
    r"\n[ \t]*>",
    r"\n[ \t]*\|",
    r"\*\*[^*\n]+\*\*|__[^_\n]+__",  # strong
    r"(?<![*\w])\*[^*\s][^*\n]*\*(?!\*)|(?<![_\w])_[^_\s][^_\n]*_(?![_\w])",  # emphasised
    r"\[\^[^\]\n]+\]",
    r"\n[ \t]*\n",
)
# Marks that a model may love and the author never use are counted as well.
MARKS = (*",;:.!?…—–()[]\"'/%&", " - ", "、", "。", "！", "？", "「", "・")


@dataclass(frozen=True)
class Habit:
    """One habit of one author.

    count: a text → counts, shape (features,); counts of several texts may be added.
    distance: added counts, shape (samples, features) → distances to the author, shape (samples,); 0 is identical.
    """

    name: str
    count: Callable[[str], Array]
    distance: Callable[[Array], Array]


def habits(posts: Sequence[str]) -> tuple[Habit, ...]:
    """The habits of the author of `posts`: outlines, as `words.outline` gives them; not all of them empty.

    Of mere prose, as `words.prose` gives it, formatting sees no code and no links; the others see what they see anyway.
    """
    return _habits(tuple(posts))


@lru_cache(maxsize=2)  # an evaluation asks for one author's a few times, and 400 posts take seconds
def _habits(posts: tuple[str, ...]) -> tuple[Habit, ...]:
    pieces = _pieces(posts)
    plain = [unsigned(piece) for piece in pieces]
    whole = [unsigned(post) for post in posts]
    everywhere = _everywhere(plain)
    of_words = (
        _function_words(plain, everywhere),
        _word_order(whole, everywhere),
        _letter_sequences(whole),
        _punctuation(plain),
        _rhythm(whole),
        _vocabulary(plain, everywhere),
    )
    return (*(_unsigned(one) for one in of_words), _formatting(pieces))


def _unsigned(habit: Habit) -> Habit:
    return Habit(habit.name, lambda outline: habit.count(unsigned(outline)), habit.distance)


def _pieces(posts: Sequence[str]) -> list[str]:
    """All posts end to end, in pieces of about CHUNK words; shorter ones when that would make fewer than eight."""
    size = max(1, min(CHUNK, sum(len(words(post)) for post in posts) // 8))
    pieces: list[list[str]] = [[]]
    length = 0
    for paragraph in (one for post in posts for one in paragraphs(post)):
        if length >= size:
            pieces.append([])
            length = 0
        pieces[-1].append(paragraph)
        length += len(words(paragraph))
    return ["\n\n".join(piece) for piece in pieces]


def _delta(name: str, pieces: Sequence[str], count: Callable[[str], Array], weight: Array | float = 1.0) -> Habit:
    """A habit compared by Burrows's Delta: the mean absolute z-score of the rates, with the author as the origin.

    count's last feature is the number of words. weight: of each other feature. The spread is the author's own, from piece
    to piece, and never less than chance alone would give. (Cosine Delta, Evert et al., 2017, Digital Scholarship in the
    Humanities 32, separates authors better, but needs an origin other than the author it is measured from.)
    Burrows, 2002, Literary and Linguistic Computing 17(3).
    """
    counts = np.array([count(piece) for piece in pieces])
    lengths = np.maximum(counts[:, -1:], 1)
    mean = counts[:, :-1].sum(0) / lengths.sum()
    typical = lengths.mean()
    chance = np.sqrt(np.maximum(mean, 1 / typical) / typical)
    spread = np.maximum((counts[:, :-1] / lengths).std(0), chance)
    share = np.broadcast_to(weight, mean.shape) / np.broadcast_to(weight, mean.shape).sum()

    def distance(added: Array) -> Array:
        rates = added[:, :-1] / np.maximum(added[:, -1:], 1)
        return np.asarray(np.abs((rates - mean) / spread) @ share)

    return Habit(name, count, distance)


def _everywhere(pieces: Sequence[str]) -> list[str]:
    """The words found in a good share of all pieces, most frequent first; a word of one subject is not among them."""
    total, found_in = Counter[str](), Counter[str]()
    for piece in pieces:
        counted = Counter(words(piece))
        total.update(counted)
        found_in.update(counted.keys())
    return [word for word, _ in _ranked(total) if found_in[word] >= FUNCTION_WORD_SHARE * len(pieces)]


def _function_words(pieces: Sequence[str], everywhere: Sequence[str]) -> Habit:
    """The author's most frequent words, of those found everywhere: function words in any language."""
    return _delta("function words", pieces, _counter(everywhere[:FUNCTION_WORDS], words))


def _word_order(posts: Sequence[str], everywhere: Sequence[str]) -> Habit:
    """Pairs of neighbouring words and marks, compared as the letter sequences are; words not found everywhere count as one.

    So a subject's own words leave only their places behind (text distortion, Stamatatos, 2017, EACL). All rare pairs together
    are one kind; shuffled words are heard by how many of them there are.
    """
    kept = set(everywhere)

    def pairs(text: str) -> list[str]:
        found = [one if one in kept or not one[0].isalnum() else "*" for one in tokens(text)]
        return [f"{one} {other}" for one, other in pairwise(found)]

    total = _together(map(pairs, posts))
    known = _ranked(total)[:NGRAMS]
    count = _counter([pair for pair, _ in known], pairs)

    def shares(added: Array) -> Array:
        rare = added[:, -1:] - added[:, :-1].sum(1, keepdims=True)
        return np.asarray(np.hstack([added[:, :-1], rare]) / np.maximum(added[:, -1:], 1))

    author = shares(np.array([[*(times for _, times in known), sum(total.values())]], dtype=np.float64))[0]
    return Habit("word order", count, lambda added: np.asarray(1 - np.sqrt(shares(added)) @ np.sqrt(author)))


def _vocabulary(pieces: Sequence[str], everywhere: Sequence[str]) -> Habit:
    """Half favourite words, half richness.

    Favourites are the author's next most frequent words after the function words, again of those found everywhere: a word of
    one subject is none (after Zeta's consistency, Burrows, 2007, Literary and Linguistic Computing 22(1)). Richness is the
    mean segmental type-token ratio (Johnson, 1944, Psychological Monographs 56(2)), which length does not move, and the
    lengths of words (Mendenhall, 1887, Science 9(214)).
    """
    favourites = everywhere[FUNCTION_WORDS : FUNCTION_WORDS + FAVOURITES]
    counted = _counter(favourites, words)

    def count(text: str) -> Array:
        found = words(text)
        types = sum(len(set(found[start : start + SEGMENT])) for start in range(0, len(found), SEGMENT))
        lengths = [sum(low <= len(word) <= high for word in found) for low, high in WORD_LENGTHS]
        return np.concatenate([[types, *lengths], counted(text)])

    richness = np.array([0.5, *[0.5 / len(WORD_LENGTHS)] * len(WORD_LENGTHS)])
    weight = np.concatenate([richness, np.full(len(favourites), 1 / max(1, len(favourites)))])
    return _delta("vocabulary", pieces, count, weight)


def _formatting(pieces: Sequence[str]) -> Habit:
    """Headings, items, quotations, tables, emphasis, footnotes, code, links and pictures a word, and how paragraphs end."""

    def count(outline: str) -> Array:
        text = "\n" + outline
        found = [len(re.findall(pattern, text)) for pattern in FORMATS]
        return np.array([*found, *(text.count(sign) for sign in SIGNS), len(words(outline))], dtype=np.float64)

    return _delta("formatting", pieces, count)


def _punctuation(pieces: Sequence[str]) -> Habit:
    """Marks a word; Grieve, 2007, Literary and Linguistic Computing 22(3), found them among the best of 39 measures."""

    def count(text: str) -> Array:
        straight = level(text)
        return np.array([*(straight.count(mark) for mark in MARKS), len(words(text))], dtype=np.float64)

    return _delta("punctuation", pieces, count)


def _letter_sequences(posts: Sequence[str]) -> Habit:
    """The author's most frequent sequences of three and four characters, compared by 1 - Bhattacharyya coefficient.

    Character n-grams: Kešelj et al., 2003, PACLING; Stamatatos, 2009, JASIST 60(3). Square roots of the shares keep the
    few commonest sequences from deciding alone, as plain cosine would let them.
    """
    known = _ranked(_together(map(_sequences, posts)))[:NGRAMS]
    count = _counter([sequence for sequence, _ in known], _sequences)
    author = np.array([times for _, times in known], dtype=np.float64)
    author /= max(author.sum(), 1)

    def distance(added: Array) -> Array:
        shares = added[:, :-1] / np.maximum(added[:, :-1].sum(1, keepdims=True), 1)
        return np.asarray(1 - np.sqrt(shares) @ np.sqrt(author))

    return Habit("letter sequences", count, distance)


def _sequences(text: str) -> list[str]:
    line = re.sub(r"\s+", " ", level(text))
    return [line[start : start + length] for length in (3, 4) for start in range(len(line) - length + 1)]


def _rhythm(posts: Sequence[str]) -> Habit:
    """Lengths of sentences and of paragraphs in words: the earth mover's distance of their distributions, in doublings."""
    bins, per_doubling = 96, 8  # eight steps a doubling, up to 4,096 words

    def histogram(lengths: list[int]) -> Array:
        places = np.minimum((per_doubling * np.log2(np.maximum(lengths, 1))).astype(int), bins - 1)
        return np.bincount(places, minlength=bins).astype(np.float64)

    def count(text: str) -> Array:
        blocks = (sentences(text), paragraphs(text))
        return np.concatenate([histogram([len(words(one)) for one in block]) for block in blocks])

    def cumulated(added: Array) -> Array:
        both = added.reshape(-1, 2, bins)
        return np.asarray(np.cumsum(both, 2) / np.maximum(both.sum(2, keepdims=True), 1))

    author = cumulated(sum((count(post) for post in posts), np.zeros(2 * bins)))

    def distance(added: Array) -> Array:
        return np.asarray(np.abs(cumulated(added) - author).sum(2).mean(1) / per_doubling)

    return Habit("rhythm", count, distance)


def _together(texts: Iterable[Sequence[str]]) -> Counter[str]:
    """How often each unit is found in all texts together."""
    total = Counter[str]()
    for units in texts:
        total.update(units)
    return total


def _counter(features: Sequence[str], split: Callable[[str], list[str]]) -> Callable[[str], Array]:
    place = {feature: index for index, feature in enumerate(features)}

    def count(text: str) -> Array:
        out = np.zeros(len(features) + 1)
        units = split(text)
        out[-1] = len(units)
        for unit, times in Counter(units).items():
            if unit in place:
                out[place[unit]] = times
        return out

    return count


def _ranked(total: Counter[str]) -> list[tuple[str, int]]:
    """Most frequent first, ties in the order of the alphabet, so that the same posts give the same list."""
    return sorted(total.items(), key=lambda item: (-item[1], item[0]))
