"""compare.json: several versions of a twin beside each other, and which of them to keep, if that can be told.

In: what was measured of each, and of every two. Out: a Comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from blogtwin.evaluation.style_diff import StyleDiff
from blogtwin.evaluation.verdict import Paired
from blogtwin.evaluation.voice import Voice
from blogtwin.records import Record, Sampling

_TOLD = 6  # differences of style between two versions, each way


class VersionMeasured(Record):
    """One version. perplexities: None where its adapter is gone. objections: why not to use it, whatever its voice."""

    name: str
    version: str | None  # the dated name
    model_hash: str
    data_hash: str
    base_model: str
    voice: Voice
    perplexity: float | None
    perplexity_per_word: float | None
    copied_answers: int
    answers: int
    objections: tuple[str, ...]


class Changed(Record):
    """What the second version does more and less than the first, in words, the surest first."""

    first: str
    second: str
    more: tuple[str, ...]
    less: tuple[str, ...]


class ComparedAnswers(Record):
    """One prompt, and what each version said to it: name → answer."""

    prompt: str
    answers: dict[str, str]


class Comparison(Record):
    """Everything in compare.json. best: None where it cannot be told. pairs: p is Holm's, over the pairs of one measure."""

    schema_version: Literal[1] = 1
    sentence: str
    best: str | None
    versions: tuple[VersionMeasured, ...]
    pairs: tuple[Paired, ...]
    changes: tuple[Changed, ...]
    samples: tuple[ComparedAnswers, ...]
    held_out_titles: int
    prompts: int
    seed: int
    sampling: Sampling
    remarks: tuple[str, ...]
    seconds: float


def best_of(versions: Sequence[VersionMeasured], pairs: Sequence[Paired]) -> tuple[str | None, str]:
    """The version that is nearer to the author than each other one by more than chance, and the whole in one sentence."""
    named = {one.name: one for one in versions}
    usable = [name for name, one in named.items() if not one.objections]
    wins = _wins(pairs, "voice")
    for name in usable:
        if all((name, other) in wins for other in usable if other != name) and len(usable) > 1:
            return name, f"{name} sounds more like you than {_all(len(usable) - 1)}: {_score(named[name])}."
    left_out = [name for name in named if name not in usable]
    if len(usable) == 1:
        return usable[
            0
        ], f"{usable[0]} is the only one to use: {', '.join(left_out)} should not be, whatever they sound like."
    if not usable:
        return None, "None of them should be used: see the objections to each."
    fits = _wins(pairs, "perplexity per word")
    for name in usable:
        others = [other for other in usable if other != name]
        if all((name, other) in fits and (other, name) not in wins for other in others):
            return (
                name,
                f"They cannot all be told apart by voice; {name} predicts your posts better than {_all(len(others))}.",
            )
    return None, "They cannot be told apart with so few posts: keep what you have, or measure with more (--samples)."


def changed(first: str, second: str, difference: StyleDiff) -> Changed:
    """The differences of `second`'s answers against those of `first`."""
    more, less = (
        tuple(f"{one.what} ({one.kind}): {one.author:.2f} → {one.twin:.2f} {one.unit}" for one in side[:_TOLD])
        for side in (difference.over, difference.under)
    )
    return Changed(first=first, second=second, more=more, less=less)


def _wins(pairs: Sequence[Paired], measure: str) -> set[tuple[str, str]]:
    """(better, worse) of every pair that differs by more than chance, after Holm's correction."""
    found = set()
    for one in pairs:
        if one.measure == measure and one.p is not None and one.p < _SURE:
            above = one.difference > 0 if measure == "voice" else one.difference < 1
            found.add((one.first, one.second) if above else (one.second, one.first))
    return found


_SURE = 0.05


def _all(others: int) -> str:
    return "the other" if others == 1 else "each of the others"


def _score(one: VersionMeasured) -> str:
    voice: Mapping[str, float | None] = {"score": one.voice.score, "low": one.voice.low, "high": one.voice.high}
    told = {name: "?" if value is None else f"{value:.0%}" for name, value in voice.items()}
    return f"{told['score']} of the way from the base to you ({told['low']} to {told['high']})"
