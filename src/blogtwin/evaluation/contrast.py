"""Does one side do a thing more often than the other, by more than chance? In: counts text by text. Out: rates, ratio and z.

A text is the unit, not a word: one answer with forty headings does not show that a model loves headings.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import copysign, log, sqrt
from typing import NamedTuple

_HALF = 0.5  # added to each count, so that what a side never does has a ratio too


class Contrast(NamedTuple):
    """twin, author: rates, a unit of size. ratio: of the rates, each with half a count more. z: above 0 the twin has more."""

    twin: float
    author: float
    ratio: float
    z: float


class Counted(NamedTuple):
    """One side: for each text how often a thing is in it, and how large the text is (words, sentences, paragraphs)."""

    times: Sequence[float]
    sizes: Sequence[float]


def contrast(twin: Counted, author: Counted) -> Contrast:
    """Rates of two sides, and how sure it is that they differ, as a z-score.

    The signed root of the log-likelihood ratio of two rates (Dunning, 1993, Accurate methods for the statistics of surprise
    and coincidence, Computational Linguistics 19(1)), divided by the dispersion of the counts from text to text where that
    is more than chance alone gives (quasi-likelihood: McCullagh and Nelder, 1989, Generalized Linear Models, section 9.2).
    """
    mine, theirs = sum(twin.times), sum(author.times)
    size, other = sum(twin.sizes), sum(author.sizes)
    if not size or not other:
        return Contrast(_rate(twin), _rate(author), 1.0, 0.0)
    together = (mine + theirs) / (size + other)
    likelihood = 2 * (_surprise(mine, together * size) + _surprise(theirs, together * other))
    z = sqrt(max(likelihood, 0.0) / _dispersion(twin, author))
    ratio = ((mine + _HALF) / size) / ((theirs + _HALF) / other)
    return Contrast(_rate(twin), _rate(author), ratio, copysign(z, mine / size - theirs / other))


def _rate(side: Counted) -> float:
    return sum(side.times) / sum(side.sizes) if sum(side.sizes) else 0.0


def _surprise(times: float, expected: float) -> float:
    return times * log(times / expected) if times else 0.0


def _dispersion(*sides: Counted) -> float:
    """Pearson's statistic about each side's own rate, a degree of freedom; at least 1."""
    pearson, freedom = 0.0, 0
    for side in sides:
        rate = _rate(side)
        known = [(times, size * rate) for times, size in zip(side.times, side.sizes, strict=True) if size * rate]
        pearson += sum((times - expected) ** 2 / expected for times, expected in known)
        freedom += max(0, len(known) - 1)
    return max(1.0, pearson / freedom) if freedom else 1.0
