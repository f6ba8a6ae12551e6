"""Whether two models that should be the same write in two voices: their answers to the same prompts, side by side.

In: pairs of answers. Out: how far apart they are by the habits that tell writers apart, beside what chance alone would give,
or the reason why so few words cannot tell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from blogtwin.evaluation.habits import Array, habits
from blogtwin.evaluation.words import prose, words
from blogtwin.records import VoiceDifference

_LEAST_PAIRS = 8  # that differ; fewer can be swapped in so few ways that nothing is ever unlikely
_LEAST_WORDS = 200  # on either side; below that a habit is counted on a handful of words
_SWAPS = 4000


def voice_difference(served: Sequence[str], trained: Sequence[str], seed: int) -> VoiceDifference:
    """What `served` and `trained` answered to the same prompts, in the same order, compared habit by habit.

    Each side's distance to both sides together is added up. If the two are one voice, it is chance which answer of a pair
    came from which side; so the same sum is taken with the sides of pairs swapped at random, and its share at or above the
    observed one is the probability of so large a difference by chance (a paired randomization test; Edgington and Onghena,
    2007, Randomization Tests, chapter 6). Pairs that are equal say nothing either way.
    """
    pairs = [(prose(one), prose(other)) for one, other in zip(served, trained, strict=True)]
    differing = [pair for pair in pairs if pair[0] != pair[1]]
    counted = min((sum(len(words(pair[side])) for pair in differing) for side in (0, 1)), default=0)
    found = {"pairs": len(pairs), "differing": len(differing), "words": counted}
    if not differing:
        return VoiceDifference(**found, standard_errors=0.0, chance=1.0)
    if len(differing) < _LEAST_PAIRS or counted < _LEAST_WORDS:
        return VoiceDifference(
            **found,
            remark=f"the voices cannot be told apart or alike: {len(differing)} of {len(pairs)} answers differ, "
            f"with {counted} words; it takes {_LEAST_PAIRS} with {_LEAST_WORDS}",
        )
    sums = _sums(differing, seed)
    deviations = (sums - sums.mean()) / max(float(sums.std()), 1e-9)
    return VoiceDifference(
        **found, standard_errors=round(float(deviations[0]), 2), chance=float((sums >= sums[0] - 1e-9).mean())
    )


def _sums(pairs: Sequence[tuple[str, str]], seed: int) -> Array:
    """For the pairs as they are (the first) and for random swaps: distances over all habits, each in standard deviations."""
    swapped = np.random.default_rng(seed).integers(0, 2, size=(_SWAPS, len(pairs)))
    swapped[0] = 0
    total = np.zeros(_SWAPS)
    for habit in habits([text for pair in pairs for text in pair]):
        one, other = (np.array([habit.count(pair[side]) for pair in pairs]) for side in (0, 1))
        left = (1 - swapped) @ one + swapped @ other
        right = swapped @ one + (1 - swapped) @ other
        apart = habit.distance(left) + habit.distance(right)
        total += (apart - apart.mean()) / max(float(apart.std()), 1e-9)
    return total
