"""The stopping rule: when readers' judgements are enough to give a challenger more, to promote it or to take it back.

In: what readers said of drafts of challenger and champion, in time order. Out: a Decision, which may be looked at after every
judgement without spoiling the error rates.

How it counts. Ratings are gathered into blocks, in time order; a block ends when both versions have three. Given how many of
a block were liked, and if the two versions are liked equally often, the number of the challenger's likes has a
hypergeometric distribution; if the odds of a like are psi times as high for the challenger, Fisher's noncentral one. A reader
who chose one of several drafts of both makes a block in which one was liked. Each block is compared within itself (the strata
of Cochran, Mantel and Haenszel), so that shares may change, and readers' mood from block to block.

The product over blocks of P(psi)/P(psi0), averaged over a half-normal prior on log psi above log psi0, is a test martingale
where the true ratio is psi0, and falls on average where it is below. By Ville's inequality it ever reaches 1/error_rate with
a probability of at most error_rate, however often one looks (Ramdas, Grünwald, Vovk and Shafer, 2023, Statistical Science
38(4); for two Bernoulli streams in blocks: Turner, Ly and Grünwald, 2024, Journal of Statistical Planning and Inference 230).

    promoted      evidence that its odds are higher than the champion's. A version that is no better: at most error_rate
    rolled back   evidence that its odds are lower. A version that is no worse: at most error_rate
    next share    evidence that its odds are more than half the champion's, for the first step; with more steps the margin comes
                  nearer to 1 from one to the next. A version below the margin: at most error_rate

The bounds hold for judgements that are independent given the version. Several by one reader in one sitting are not quite: with
four by each, readers whose like rates differ by a standard deviation of 10 points still leave 4% of equal versions promoted
after 3,000 ratings, those who differ by 20 points 9% (bench/rollout.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb, log
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

_LEAST = 3  # ratings of each version in a block; more lose less at its ends, and are later
_OCTAVE = 14  # steps of the grid from odds to twice the odds
_GRID = np.arange(
    -4 * _OCTAVE, 4 * _OCTAVE + 1
)  # log psi in steps: the odds of a like from 1/16 to 16 times the champion's
_EQUAL = 4 * _OCTAVE  # where psi is 1
_SPREAD = 0.7  # standard deviation of the half-normal prior, in units of log psi: 60% against 50% is 0.4, 80% against 60% is 1
_MARGIN = _OCTAVE  # the first step asks whether the odds are more than half the champion's
_CACHED = 1 << 14  # kinds of block

Action = Literal["wait", "share", "promote", "roll back"]


class Rating(NamedTuple):
    """A reader's like or dislike of a draft of one of the two versions."""

    challenger: bool
    liked: bool


class Block(NamedTuple):
    """Judgements to be compared with each other. challenger, champion: how many; liked: of all; theirs: of the challenger's."""

    challenger: int
    champion: int
    liked: int
    theirs: int


@dataclass(frozen=True)
class Decision:
    """action: what to do with the challenger. share: per cent of the requests from now on.

    better, worse, worth: the evidence that it is better, worse, worth the next share, as the factor by which a bet on it has
    grown; `needed` is enough. blocks: how many were counted.
    """

    action: Action
    share: int
    better: float
    worse: float
    worth: float
    needed: float
    blocks: int


def blocks(said: Iterable[Rating | Block]) -> Iterator[Block]:
    """Ratings gathered into blocks of at least three of each version; what a reader chose among drafts is one already.

    Ratings that fill no block yet are left out. Where a block ends depends on which versions were rated, never on how.
    """
    counted, liked = [0, 0], [0, 0]
    for one in said:
        if isinstance(one, Block):
            yield one
            continue
        counted[one.challenger] += 1
        liked[one.challenger] += one.liked
        if min(counted) >= _LEAST:
            yield Block(counted[1], counted[0], sum(liked), liked[1])
            counted, liked = [0, 0], [0, 0]


class Evidence:
    """What blocks say of psi, the odds of a like of the challenger's over the champion's: a log-likelihood on a grid."""

    def __init__(self) -> None:
        self._told: NDArray[np.float64] = np.zeros(len(_GRID))

    def add(self, block: Block) -> None:
        """Count one block; one in which all or none were liked says nothing."""
        self._told += _log_likelihood(block)

    def above(self, steps: int) -> float:
        """The evidence that psi is above 2^(steps/14): a bet on it that was worth 1 at the start is worth this."""
        return self._bet(_EQUAL + steps, 1)

    def below(self) -> float:
        """The evidence that psi is below 1."""
        return self._bet(_EQUAL, -1)

    def _bet(self, origin: int, way: int) -> float:
        away = self._told[origin + way :: way]
        with np.errstate(over="ignore"):
            return float(_prior(len(away)) @ np.exp(away - self._told[origin]))


class Trial:
    """A challenger against its champion, block by block, until one of the two decisions is reached.

    share: what the challenger has now, in per cent. shares: the steps; the largest stands for all requests.
    error_rate: of each of the three decisions, as the head of this file has them.
    """

    def __init__(self, share: int, shares: Sequence[int], error_rate: float) -> None:
        self._evidence = Evidence()
        self._margins = _margins(shares)
        self._needed = 1 / error_rate
        self.decision = Decision("wait", share, 1.0, 1.0, 1.0, self._needed, 0)

    def add(self, block: Block) -> Decision:
        """Count one block; once it has been promoted or rolled back, nothing more is counted."""
        before = self.decision
        if before.action in ("promote", "roll back"):
            return before
        self._evidence.add(block)
        better, worse = self._evidence.above(0), self._evidence.below()
        step, margin = next(((step, margin) for step, margin in self._margins if step > before.share), (100, 0))
        worth = self._evidence.above(margin) if margin else better
        action, share = before.action, before.share
        if better >= self._needed:
            action, share = "promote", 100
        elif worse >= self._needed:
            action, share = "roll back", 0
        elif worth >= self._needed:
            action, share = "share", step
        self.decision = Decision(action, share, better, worse, worth, self._needed, before.blocks + 1)
        return self.decision


def decide(found: Iterable[Block], share: int, shares: Sequence[int], error_rate: float) -> Decision:
    """What all blocks since challenger and champion stand against each other are enough for; see Trial.

    The first block at which the evidence is enough decides, whenever one looks.
    """
    trial = Trial(share, shares, error_rate)
    for block in found:
        trial.add(block)
    return trial.decision


def _margins(shares: Sequence[int]) -> list[tuple[int, int]]:
    """Each share between the smallest and the largest, with the margin, in steps of the grid, to be passed on the way to it."""
    between = sorted(set(shares))[1:-1]
    return [(step, -round(_MARGIN * (1 - place / len(between)))) for place, step in enumerate(between)]


@lru_cache(maxsize=_CACHED)
def _log_likelihood(block: Block) -> NDArray[np.float64]:
    """log P(theirs | liked) under Fisher's noncentral hypergeometric distribution, for every psi of the grid."""
    least, most = max(0, block.liked - block.champion), min(block.challenger, block.liked)
    possible = np.arange(least, most + 1)
    ways = [
        log(comb(block.challenger, one)) + log(comb(block.champion, block.liked - one)) for one in possible.tolist()
    ]
    terms = np.array(ways)[:, None] + np.outer(possible, _GRID * (log(2) / _OCTAVE))
    total = np.logaddexp.reduce(terms, axis=0)
    told: NDArray[np.float64] = terms[block.theirs - least] - total
    return told


@lru_cache(maxsize=64)
def _prior(points: int) -> NDArray[np.float64]:
    """Weights of the psi at distances of 1, 2, … steps, which add up to 1."""
    away = np.arange(1, points + 1) * (log(2) / _OCTAVE)
    density = np.exp(-((away / _SPREAD) ** 2) / 2)
    weights: NDArray[np.float64] = density / density.sum()
    return weights
