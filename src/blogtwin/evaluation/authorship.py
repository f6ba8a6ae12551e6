"""Did the author write this? One text against a profile of the author's posts, with other writers as imposters.

In: posts of the author, posts of others, texts in question. Out: for each text how likely it is the author's rather than a
stranger's. Other writers are a folder of blogs where the user has one, else the base model's own answers; the test then
says no more than that the text is not the base's.

Two kinds of signs, of form more than of subject: pairs of neighbouring words and marks, and sequences of characters.
A sign is there or not, weighed by how few pieces of text have it (Spärck Jones, 1972, Journal of Documentation 28(1)); pieces
are compared by the cosine, and the author is told from the imposters by ridge regression on these similarities (Saunders et
al., 1998, ICML), one for each kind of signs, whose scores are averaged (the sum rule: Kittler et al., 1998, IEEE Transactions
on Pattern Analysis and Machine Intelligence 20(3)). That imposters are needed at all, and that the question is which of two is
nearer, is Koppel and Winter, 2014, JASIST 65(1). docs/evaluation.md says on whose texts each was chosen.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from blogtwin.evaluation.words import cut, level, prose, tokens, unspaced, words
from blogtwin.records import Record

Array = NDArray[np.float64]
Signs = NDArray[np.uint64]

LEAST, MOST = 100, 1000  # words of a piece; shorter ones are mostly chance, longer ones leave too few to learn from
_RIDGE = 0.1
_SPREADS = 6  # below the author's own mean likeness, where a loop or another language is and genuine posts are not
_LETTERS, _LETTERS_UNSPACED = 4, 2
_BLOCK = 64  # pieces compared at once: a column each of 4 bytes a sign


class Attribution(Record):
    """score: 1 is like the author's unseen posts, -1 like a stranger's, roughly. probability: that the author wrote it.

    The probability supposes that author and stranger are equally likely beforehand, and that strangers differ from the
    author as the imposters do.
    """

    score: float
    probability: float


def authorship(
    profile: Sequence[str], imposters: Mapping[str, Sequence[str]], texts: Sequence[str]
) -> tuple[Attribution, ...]:
    """Whether the author of `profile` wrote each of `texts`.

    profile: the author's other posts, Markdown; twenty are enough for a text of 500 words. imposters: writer → posts. Posts
    are cut into pieces about as long as the texts are. A text that is far from author and imposters alike, as one without a
    word is, has probability 0. Raises ValueError when
    profile or imposters have fewer than two posts with words.
    """
    asked = [prose(text) for text in texts]
    length = _usual_length(asked)
    writers = [list(profile), *imposters.values()]
    pieces = [_pieces(posts, length) for posts in writers]
    if len(pieces[0]) < 2 or sum(map(len, pieces[1:])) < 2:
        raise ValueError("the author and the others need two posts with words each")
    known = [piece for posts in pieces for post in posts for piece in post]
    writer = np.array([place for place, posts in enumerate(pieces) for post in posts for _ in post])
    post = np.array([number for number, one in enumerate(one for posts in pieces for one in posts) for _ in one])
    between = similarities(known, [*known, *asked])
    fitted = [_Ridge(one[: len(known)], writer) for one in between]
    scores = np.mean([fit.scores(one[len(known) :]) for fit, one in zip(fitted, between, strict=True)], axis=0)
    # What scores unseen posts get is seen by leaving each of the author's posts out, and each stranger; one alone, by post.
    group = np.where(writer == 0, post, post if len(imposters) < 2 else -writer)
    left_out = np.mean([fit.unseen(group) for fit in fitted], axis=0)
    chance = _calibrated(left_out, writer == 0, scores)
    chance[_unlike(between.mean(0), np.where(writer == 0, post, -1))] = 0
    return tuple(
        Attribution(score=float(score), probability=float(one)) for score, one in zip(scores, chance, strict=True)
    )


def _unlike(between: Array, post: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Which texts are far less like the author's pieces than those are like one another: not of the author, whoever else's.

    Another language, a loop or a single word is no more like the imposters than like the author, so telling these two
    apart says nothing of it. between: shape (known + texts, known); post: which of the author's, -1 for an imposter's piece.
    """
    author = np.flatnonzero(post >= 0)
    others = post[author, None] != post[author]
    own = (between[np.ix_(author, author)] * others).sum(1) / np.maximum(others.sum(1), 1)
    return np.asarray(between[len(post) :, author].mean(1) < own.mean() - _SPREADS * own.std())


def similarities(known: Sequence[str], texts: Sequence[str]) -> Array:
    """Cosine of each of `texts` with each of `known` by each kind of signs; shape (kinds, texts, known).

    Rarity is counted over `known`. A sign that none of these has is as rare as can be and makes a text less like all of them.
    """
    letters = _LETTERS_UNSPACED if unspaced(" ".join(known[:20])) else _LETTERS
    kinds: tuple[Callable[[str], Signs], ...] = (_pairs, lambda text: _sequences(text, letters))
    return np.stack([_cosines([signs(text) for text in known], [signs(text) for text in texts]) for signs in kinds])


def _cosines(known: Sequence[Signs], texts: Sequence[Signs]) -> Array:
    every, found = np.unique(np.concatenate(known), return_counts=True)
    weight = (np.log(len(known) / found) + 0.3) ** 2  # of a product: of both sides
    never = (np.log(len(known)) + 0.3) ** 2
    left, right = ([_places(every, signs) for signs in side] for side in (known, texts))
    products = np.zeros((len(texts), len(known)))
    for start in range(0, len(known), _BLOCK):
        there = np.zeros((len(every), min(_BLOCK, len(known) - start)), np.float32)
        for column, places in zip(there.T, left[start:], strict=False):
            column[places] = 1
        for row, places in zip(products, right, strict=True):
            row[start : start + _BLOCK] = weight[places].astype(np.float32) @ there[places]
    inside, outside = (np.array([weight[places].sum() for places in side]) for side in (left, right))
    outside += never * (np.array([len(signs) for signs in texts]) - [len(places) for places in right])
    return np.asarray(products / np.sqrt(np.maximum(np.outer(outside, inside), 1e-9)))


def _places(every: Signs, signs: Signs) -> NDArray[np.intp]:
    """Where in `every`, sorted, those of `signs` stand that are in it."""
    places = np.searchsorted(every, signs)
    places[places == len(every)] = 0
    return np.asarray(places[every[places] == signs])


class _Ridge:
    """Kernel ridge regression of +1 (the author) against -1, the author weighing as much as all others together."""

    def __init__(self, between: Array, writer: NDArray[np.int_]) -> None:
        others = len(set(writer.tolist())) - 1
        share = np.array([1.0, *[1 / others] * others]) / 2 / np.bincount(writer)
        penalty = _RIDGE / (share[writer] * len(writer))
        self.wanted = np.where(writer == 0, 1.0, -1.0)
        kernel = between + 1  # the one is the intercept
        self._solved = np.linalg.inv(kernel + np.diag(penalty))
        self._hat = kernel @ self._solved

    def scores(self, between: Array) -> Array:
        """Of texts, from their similarity with the known pieces."""
        return np.asarray((between + 1) @ self._solved @ self.wanted)

    def unseen(self, group: NDArray[np.int_]) -> Array:
        """The score of each known piece, had its whole group not been known. Exact, without fitting again.

        Hastie, Tibshirani and Friedman, 2009, The Elements of Statistical Learning, section 7.10; groups in place of points.
        """
        residual = self.wanted - self._hat @ self.wanted
        out = np.empty(len(group))
        for one in set(group.tolist()):
            place = np.flatnonzero(group == one)
            inside = self._hat[np.ix_(place, place)]
            out[place] = self.wanted[place] - np.linalg.solve(np.eye(len(place)) - inside, residual[place])
        return out


def _calibrated(known: Array, own: NDArray[np.bool_], scores: Array) -> Array:
    """Scores → probabilities, by logistic regression on scores of known origin; both origins equally likely beforehand.

    Targets are drawn in from 0 and 1, so that scores that separate perfectly do not give certainty.
    Platt, 1999, Advances in Large Margin Classifiers.
    """
    many = np.where(own, own.sum(), (~own).sum())
    target = np.where(own, (many + 1) / (many + 2), 1 / (many + 2))
    design = np.stack([known, np.ones(len(known))], 1)
    fit = np.zeros(2)
    for _ in range(50):  # Newton's method; a hint of ridge keeps it from running away
        chance = 1 / (1 + np.exp(-np.clip(design @ fit, -30, 30)))
        slope = design.T @ ((chance - target) / many) + 1e-3 * fit
        curve = (design.T * (chance * (1 - chance) / many)) @ design + 1e-3 * np.eye(2)
        fit -= np.linalg.solve(curve, slope)
    return np.asarray(1 / (1 + np.exp(-np.clip(scores * fit[0] + fit[1], -30, 30))))


def _usual_length(texts: Sequence[str]) -> int:
    lengths = [_length(text) for text in texts]
    return int(np.clip(np.median(lengths), LEAST, MOST)) if lengths else LEAST


@lru_cache(maxsize=8192)
def _length(text: str) -> int:
    return len(words(text))


def _pieces(posts: Sequence[str], length: int) -> list[list[str]]:
    """Each post's prose in equal pieces of about `length` words; posts without words are left out."""
    return [list(pieces) for post in posts if (pieces := _cut_up(post, length))]


@lru_cache(maxsize=8192)
def _cut_up(post: str, length: int) -> tuple[str, ...]:
    text = prose(post)
    many = len(words(text))
    if not many:
        return ()
    parts = max(1, many // length)
    begun = [0, *(len(cut(text, round(many * part / parts))) for part in range(1, parts))]
    return tuple(text[start:end] for start, end in zip(begun, [*begun[1:], len(text)], strict=True))


@lru_cache(maxsize=8192)
def _pairs(text: str) -> Signs:
    """Neighbouring words and marks, in lower case; a paragraph's end is a mark."""
    hashed = np.array([zlib.crc32(one.encode()) for one in tokens(text)], dtype=np.uint64)
    return np.unique((hashed[:-1] << np.uint64(32)) | hashed[1:])


@lru_cache(maxsize=8192)
def _sequences(text: str, length: int) -> Signs:
    """Sequences of `length` characters, at most four, case kept."""
    line = " " + re.sub(r"\s+", " ", level(text)) + " "
    codes = np.frombuffer(line.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64) & np.uint64(
        0xFFFF
    )
    windows = (
        np.lib.stride_tricks.sliding_window_view(codes, length)
        if len(codes) >= length
        else np.zeros((0, length), np.uint64)
    )
    places = np.uint64(1) << (np.uint64(16) * np.arange(length, dtype=np.uint64))
    return np.unique((windows * places).sum(1, dtype=np.uint64))
