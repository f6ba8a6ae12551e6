"""Which of several models sounds more like the author? In: their answers to the same prompts. Out: paired differences.

The voice score of voice.py, of all sides at once: the same prompts are drawn for all, and what the author and the base have in
common is measured once. Two intervals that overlap may well belong to sides that differ; the interval of the difference tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import exp

import numpy as np

from blogtwin.evaluation.habits import Array, habits
from blogtwin.evaluation.verdict import Paired
from blogtwin.evaluation.voice import LEAST, RESAMPLES, prompt_draws, ratio, standard_error, told_apart
from blogtwin.evaluation.words import cut, outline, words


def voice_pairs(
    training: Sequence[str],
    held_out: Sequence[str],
    base: Sequence[str],
    sides: Mapping[str, Sequence[str]],
    seed: int,
) -> tuple[Paired, ...]:
    """Every two of `sides` compared, in their order; nothing where base and author cannot be told apart.

    All texts are for the same prompts, in the same order. Efron and Tibshirani, 1993, An Introduction to the Bootstrap,
    chapters 13 and 16; a prompt's texts are drawn together.
    """
    names = list(sides)
    texts = _equal_lengths([base, held_out, *sides.values()])
    author = [outline(post) for post in training]
    if len(names) < 2 or len(held_out) < 2 or not all(any(map(words, side)) for side in (*texts[:2], author)):
        return ()
    draws = prompt_draws(len(held_out), seed, RESAMPLES)
    gaps: Array = np.zeros(len(draws))
    nearer = {name: np.zeros(len(draws)) for name in names}
    for habit in habits(author):
        counts = [np.array([habit.count(text) for text in side]) for side in texts]
        d_base, d_author, *d_sides = (habit.distance(draws @ side) for side in counts)
        gap = d_base - d_author
        if not told_apart(gap):
            continue
        unit = standard_error(habit, counts[0], counts[1])
        gaps += gap / unit
        for name, distance in zip(names, d_sides, strict=True):
            nearer[name] += (d_base - distance) / unit
    if not gaps.any():
        return ()
    scores = {name: ratio(found, gaps) for name, found in nearer.items()}
    return tuple(
        _paired(one, other, scores[one] - scores[other], len(held_out)) for one, other in combinations(names, 2)
    )


def loss_pairs(sides: Mapping[str, Sequence[float]], lengths: Sequence[int], seed: int) -> tuple[Paired, ...]:
    """Every two of `sides` compared by perplexity per word.

    sides: name → nats lost on each post; lengths: its words. The ratio of two perplexities is exp of the difference of the mean
    losses; posts are drawn in pairs. Nothing for fewer than two posts.
    """
    if len(lengths) < 2:
        return ()
    draws = prompt_draws(len(lengths), seed, RESAMPLES)
    means = {name: draws @ np.array(nats) / np.maximum(draws @ np.array(lengths), 1) for name, nats in sides.items()}
    found = []
    for one, other in combinations(sides, 2):
        pair = _paired(one, other, means[one] - means[other], len(lengths))
        told = {key: None if value is None else exp(min(value, 700.0)) for key, value in _ends(pair).items()}
        found.append(pair.model_copy(update={**told, "measure": "perplexity per word"}))
    return tuple(found)


def holm(pairs: Sequence[Paired]) -> tuple[Paired, ...]:
    """The same pairs, their p corrected for how many there are (Holm, 1979, Scandinavian Journal of Statistics 6(2))."""
    order = sorted((one for one in pairs if one.p is not None), key=lambda one: one.p or 0.0)
    corrected: dict[int, float] = {}
    least = 0.0
    for place, one in enumerate(order):
        least = max(least, min(1.0, (len(order) - place) * (one.p or 0.0)))
        corrected[id(one)] = least
    return tuple(one.model_copy(update={"p": corrected.get(id(one))}) for one in pairs)


def _paired(first: str, second: str, sampled: Array, prompts: int) -> Paired:
    """The difference of the sample (the first) with what the resamples say of it."""
    low, high = np.percentile(sampled[1:], [2.5, 97.5])
    rest = sampled[1:]
    tail = min((1 + (rest <= 0).sum()) / (1 + len(rest)), (1 + (rest >= 0).sum()) / (1 + len(rest)))
    return Paired(
        measure="voice",
        first=first,
        second=second,
        difference=float(sampled[0]),
        low=float(low),
        high=float(high),
        p=float(min(1.0, 2 * tail)),
        prompts=prompts,
    )


def _ends(pair: Paired) -> dict[str, float | None]:
    return {"difference": pair.difference, "low": pair.low, "high": pair.high}


def _equal_lengths(sides: Sequence[Sequence[str]]) -> list[list[str]]:
    """Outlines, each side cut to as many words as the shortest has in all; a side that says next to nothing does not count."""
    texts = [[outline(text) for text in side] for side in sides]
    totals = [sum(len(words(text)) for text in side) for side in texts]
    least = min(*totals[:2], *(max(total, LEAST * len(sides[0])) for total in totals[2:]))
    return [
        [cut(text, round(len(words(text)) * min(1, least / max(1, total)))) for text in side]
        for side, total in zip(texts, totals, strict=True)
    ]
