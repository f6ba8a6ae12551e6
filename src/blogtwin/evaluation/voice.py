"""How much a twin sounds like its author: 0 is the base model's own answers, 1 the author's held-out posts.

In: texts. Out: a Voice, with the raw distances behind it and a bootstrap interval. Pure functions of texts and a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from blogtwin.evaluation.habits import Array, Habit, habits
from blogtwin.evaluation.words import cut, outline, words
from blogtwin.records import Record

RESAMPLES = 2000
LEAST = 50  # words a prompt, below which an answer's shortness is its own fault
_DOUBT = 0.05  # a habit is left out when base and author change places in more than this share of the resamples


class HabitScore(Record):
    """One habit: distances to the author's training posts, and where the twin stands between base (0) and author (1)."""

    habit: str
    base: float
    twin: float
    author: float
    score: float | None  # None: this habit does not tell base and author apart here
    low: float | None
    high: float | None


class Voice(Record):
    """The score, raw: below 0 is farther from the author than the base model, above 1 nearer than the author's own posts.

    low, high: 95% bootstrap interval over the prompts; None when there are fewer than two.
    words: how many of each side were compared, in all. remarks: what could not be measured, and why.
    """

    score: float | None
    low: float | None
    high: float | None
    interval: Literal["95% percentile bootstrap over prompts"] = "95% percentile bootstrap over prompts"
    resamples: int
    prompts: int
    words: int
    habits: tuple[HabitScore, ...]
    remarks: tuple[str, ...] = ()


def voice_score(
    training: Sequence[str],
    held_out: Sequence[str],
    base: Sequence[str],
    twin: Sequence[str],
    seed: int,
    resamples: int = RESAMPLES,
) -> Voice:
    """Where `twin` stands between `base` and the author, habit by habit and on the whole.

    training: the author's posts that the twin learned from. held_out, base, twin: for the same prompts, in the same order,
    the author's own post and the two models' answers. Each habit's score is (d(base) - d(twin)) / (d(base) - d(author)),
    d being the distance to the training posts. The whole is the same ratio of sums over the habits that tell base and
    author apart, each in units of its standard error: a mean of ratios would follow whichever habit has the smallest gap.
    The interval is the percentile bootstrap over prompts (Efron and Tibshirani, 1993, An Introduction to the Bootstrap,
    chapter 13); a prompt's three texts are drawn together, so that a hard subject is hard for all three.
    """
    if not len(held_out) == len(base) == len(twin):
        raise ValueError(f"{len(held_out)} posts, {len(base)} and {len(twin)} answers: each prompt needs all three")
    sides = _equal_lengths([[outline(text) for text in side] for side in (base, twin, held_out)])
    compared = min(sum(len(words(text)) for text in side) for side in sides)
    author = [outline(post) for post in training]
    if not any(map(words, sides[0])) or not any(map(words, sides[2])) or not any(map(words, author)):
        reason = "the base model or the author has no words" if base else "no held-out title was answered"
        return _unmeasured(reason, len(base), resamples)
    draws = prompt_draws(len(base), seed, resamples)
    scores: list[HabitScore] = []
    nearer: list[Array] = []  # how much nearer than the base the twin is, by each habit that counts, and
    gaps: list[Array] = []  # how much nearer the author is; both in units of the gap's standard error
    for habit in habits(author):
        counts = [np.array([habit.count(text) for text in side]) for side in sides]
        d_base, d_twin, d_author = (habit.distance(draws @ side) for side in counts)
        gap = d_base - d_author
        sampled = ratio(d_base - d_twin, gap) if told_apart(gap) else None
        if sampled is not None:
            unit = standard_error(habit, counts[0], counts[2])
            nearer.append((d_base - d_twin) / unit)
            gaps.append(gap / unit)
        low, high = _interval(sampled)
        scores.append(
            HabitScore(
                habit=habit.name,
                base=float(d_base[0]),
                twin=float(d_twin[0]),
                author=float(d_author[0]),
                score=None if sampled is None else float(sampled[0]),
                low=low,
                high=high,
            )
        )
    whole = ratio(np.sum(nearer, axis=0), np.sum(gaps, axis=0)) if gaps else None
    low, high = _interval(whole)
    return Voice(
        score=None if whole is None else float(whole[0]),
        low=low,
        high=high,
        resamples=resamples,
        prompts=len(base),
        words=compared,
        habits=tuple(scores),
        remarks=_remarks(scores, len(base)),
    )


def _equal_lengths(sides: list[list[str]]) -> list[list[str]]:
    """Each side (base, twin, author) cut to as many words, added up, as the shortest has: each text by one share of its own.

    Length alone moves each of these measures: the more words, the nearer any text comes to a profile. Answers of 200 words
    beside posts of 2,000 would look like a stranger's whoever wrote them. What counts is the sum, because counts are added
    up; so one short answer does not cost its prompt's other two texts their words. But a twin that says next to nothing
    must not cut the others down until nothing can be told apart: below LEAST words a prompt it is left to look strange.
    """
    lengths = [[len(words(text)) for text in side] for side in sides]
    base, twin, author = map(sum, lengths)
    least = min(base, author, max(twin, LEAST * len(sides[1])))
    return [
        [cut(text, round(length * min(1, least / max(1, sum(own))))) for text, length in zip(side, own, strict=True)]
        for side, own in zip(sides, lengths, strict=True)
    ]


def prompt_draws(prompts: int, seed: int, resamples: int) -> Array:
    """How often each prompt is drawn, shape (1 + resamples, prompts); the first row is the sample as it is."""
    drawn = np.random.default_rng(seed).multinomial(prompts, np.full(prompts, 1 / prompts), size=resamples)
    return np.vstack([np.ones(prompts), drawn]).astype(np.float64)


def standard_error(habit: Habit, base: Array, author: Array) -> float:
    """Of the gap between base and author: the jackknife over prompts (Efron and Tibshirani, 1993, chapter 11)."""
    prompts = len(base)
    if prompts < 2:
        return 1.0
    without_one = 1 - np.eye(prompts)
    gaps = habit.distance(without_one @ base) - habit.distance(without_one @ author)
    return max(float(np.sqrt((prompts - 1) * gaps.var())), 1e-9)


def told_apart(gap: Array) -> bool:
    """Whether base and author differ, in the sample and in nearly every resample."""
    return bool(gap[0] > 0 and (gap[1:] <= 0).mean() <= _DOUBT)


def ratio(nearer: Array, gap: Array) -> Array:
    """Scores of the sample and of every resample. One whose gap happens to be near nothing must not go to infinity."""
    return np.asarray(nearer / np.maximum(gap, gap[0] / 10))


def _interval(scores: Array | None) -> tuple[float | None, float | None]:
    if scores is None or len(scores) < 2 or np.ptp(scores) < 1e-12:
        return None, None
    low, high = np.percentile(scores[1:], [2.5, 97.5])
    return float(low), float(high)


def _remarks(scores: Sequence[HabitScore], prompts: int) -> tuple[str, ...]:
    out = [
        f"{one.habit} left out: the base model's answers cannot be told from the author's own posts by it here"
        for one in scores
        if one.score is None
    ]
    if len(out) == len(scores):
        out.append("no voice score: more or longer held-out posts would be needed")
    if prompts < 2:
        out.append("no interval: it needs at least two held-out posts")
    return tuple(out)


def _unmeasured(reason: str, prompts: int, resamples: int) -> Voice:
    return Voice(
        score=None,
        low=None,
        high=None,
        resamples=resamples,
        prompts=prompts,
        words=0,
        habits=(),
        remarks=(f"no voice score: {reason}",),
    )
