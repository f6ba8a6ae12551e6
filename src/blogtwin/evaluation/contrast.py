"""Does one side do a thing more often than the other, by more than chance? In: counts text by text. Out: rates, ratio and z.

A text is the unit, not a word: one answer with forty headings does not show that a model loves headings.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt
from typing import NamedTuple

_HALF = 0.5  # added to each count, so that what a side never does has a rate too


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
    """Rates of two sides, and the z-score of the logarithm of their ratio.

    The standard error is the delete-one jackknife over texts (Efron and Tibshirani, 1993, An Introduction to the Bootstrap,
    chapter 11), and at least that of a Poisson count, which with few texts is the larger.
    """
    mine, theirs = _log_rate(twin), _log_rate(author)
    if mine is None or theirs is None:
        return Contrast(_rate(twin), _rate(author), 1.0, 0.0)
    difference = mine[0] - theirs[0]
    return Contrast(_rate(twin), _rate(author), exp(difference), difference / sqrt(mine[1] + theirs[1]))


def _rate(side: Counted) -> float:
    return sum(side.times) / sum(side.sizes) if sum(side.sizes) else 0.0


def _log_rate(side: Counted) -> tuple[float, float] | None:
    """The logarithm of the rate and its variance; None for a side without text."""
    times, size = sum(side.times) + _HALF, sum(side.sizes)
    if not size:
        return None
    rest = [
        log((times - one) / (size - its)) for one, its in zip(side.times, side.sizes, strict=True) if 0 < its < size
    ]
    many = len(rest)
    mean = sum(rest) / many if many else 0.0
    jackknife = (many - 1) / many * sum((one - mean) ** 2 for one in rest) if many else 0.0
    return log(times / size), max(jackknife, 1 / times)
