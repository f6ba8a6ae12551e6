"""Which to write with: the base model, the base shown three posts, or the twin; and why.

In: how sides compare by voice and by perplexity, prompt by prompt, and what disqualifies a side. Out: a Verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from blogtwin.evaluation.copying import Copying
from blogtwin.evaluation.faults import Fault, FaultKind
from blogtwin.evaluation.relevance import Relevance
from blogtwin.records import Record

Side = Literal["base", "few-shot", "twin"]
Measure = Literal["voice", "perplexity per word"]

_NAMES: Mapping[str, str] = {
    "base": "the base model",
    "few-shot": "the base model shown a few of your posts",
    "twin": "the twin",
}
_BREAKDOWNS: tuple[FaultKind, ...] = ("empty", "too short", "looping", "wrong language")
_MANY = 0.25  # of the answers


class Paired(Record):
    """One side beside another by one measure, on the same prompts or posts.

    difference: `first` minus `second`; of voice it is in units of the score (above 0: `first` is nearer to the author), of
    perplexity the ratio first / second (below 1: `first` is less surprised). low, high: its 95% paired bootstrap interval; None
    with fewer than two prompts. p: two-sided, of no difference; corrected (Holm) where several pairs were looked at.
    """

    measure: Measure
    first: str
    second: str
    difference: float
    low: float | None
    high: float | None
    p: float | None
    prompts: int


class Verdict(Record):
    """sentence: the whole in one sentence. use: what to write with; None: it cannot be told with so few posts.

    why: reasons, the weightiest first. against: side → what speaks against it whatever its voice is. comparisons: the figures.
    """

    sentence: str
    use: Side | None
    why: tuple[str, ...]
    against: dict[Side, tuple[str, ...]]
    comparisons: tuple[Paired, ...]


class Voices(NamedTuple):
    """The voice scores of twin and few-shot base, None where it could not be told; interval: the twin's."""

    twin: float | None
    interval: tuple[float | None, float | None]
    few_shot: float | None


def against(answers: int, copying: Copying, relevance: Relevance, faults: Sequence[Fault]) -> tuple[str, ...]:
    """Why a side should not be used however it sounds: it repeats posts, ignores prompts, or breaks down."""
    out = [*(copying.reasons[:1] if copying.flagged else ()), *(relevance.reasons[:1] if relevance.flagged else ())]
    bad: dict[str, set[int]] = {}
    for fault in faults:
        if fault.kind in _BREAKDOWNS:
            bad.setdefault(fault.kind, set()).add(fault.answer)
    if len(set().union(*bad.values())) > _MANY * answers:
        kinds = ", ".join(f"{len(which)} {kind}" for kind, which in bad.items())
        out.append(f"of {answers} answers are useless: {kinds}")
    return tuple(out)


def verdict(voices: Voices, objections: Mapping[Side, Sequence[str]], comparisons: Sequence[Paired]) -> Verdict:
    """What to write with.

    voices, comparisons: as measured; objections: side → what `against` found, for each side that answered. Voice decides; where
    it cannot, how well each predicts the held-out posts; a side with objections is not chosen.
    """
    told = _Told(voices, objections, comparisons)
    use, sentence = told.chosen()
    return Verdict(
        sentence=f"{sentence}.",
        use=use,
        why=tuple(told.why(use)),
        against={side: tuple(reasons) for side, reasons in objections.items() if reasons},
        comparisons=tuple(comparisons),
    )


class _Told:
    """One evaluation's evidence, asked for in several ways."""

    def __init__(self, voices: Voices, objections: Mapping[Side, Sequence[str]], comparisons: Sequence[Paired]) -> None:
        self._voices, self._objections, self._comparisons = voices, objections, comparisons

    def chosen(self) -> tuple[Side | None, str]:
        """What to use, and the whole in one sentence."""
        if self._voices.twin is None and not self._objections.get("twin"):
            return None, "It cannot be told which to write with: base and author do not differ in what was measured"
        if self._objections.get("twin"):
            reason = self._objections["twin"][0]
            instead = self._instead()
            until = (
                f"until then use {_NAMES[instead]}" if instead else "what speaks against it speaks against the base too"
            )
            return instead, f"Do not write with this twin yet: {reason}; {until}"
        return self._twin_or_other()

    def _instead(self) -> Side | None:
        """What is left without the twin."""
        prompted, plain = self._usable("few-shot"), self._usable("base")
        if prompted and (not plain or self._over("few-shot", "base") > 0):
            return "few-shot"
        return "base" if plain else None

    def _twin_or_other(self) -> tuple[Side | None, str]:
        over_base, score = self._over("twin", "base"), self._score()
        if not self._usable("few-shot"):
            if over_base > 0:
                return "twin", f"Write with the twin: {score}"
            if over_base < 0:
                return "base", f"Write with the base model: the twin sounds less like you than it does ({score})"
            return None, f"Twin and base cannot be told apart by voice with so few posts: {score}"
        over_few, few = self._over("twin", "few-shot"), f"{_NAMES['few-shot']} {self._voices.few_shot or 0:.0%}"
        if over_few > 0 and over_base >= 0:
            return "twin", f"Write with the twin: {score}, {few}"
        if over_few < 0:
            if self._over("few-shot", "base") >= 0:
                return "few-shot", f"Prompting wins: {few} of the way from base to you, the twin {self._figure()}"
            return "base", f"Write with the base model: neither the twin ({score}) nor {few} is nearer to you"
        fit = self._over("few-shot", "twin", "perplexity per word")  # below 1 is better, so the sides change places
        if fit > 0 and over_base > 0:
            return "twin", f"Write with the twin: {score}; {few} is as near, but the twin predicts your posts better"
        if fit > 0 and over_base == 0:
            return (
                "twin",
                "The twin does not sound more like you than its base by any measure of voice yet, but it predicts your posts "
                f"better than {_NAMES['few-shot']}: write with it, and read it with care",
            )
        if fit < 0 and self._over("few-shot", "base") >= 0:
            return (
                "few-shot",
                f"Prompting does as well: {score}, {few}, and the prompted base predicts your posts better",
            )
        return None, f"The twin and {_NAMES['few-shot']} cannot be told apart with so few posts: {score}, {few}"

    def why(self, use: Side | None) -> list[str]:
        """The reasons in the order of their weight."""
        out = [f"{_NAMES[side]}: {reason}" for side, reasons in self._objections.items() for reason in reasons]
        order = sorted(self._comparisons, key=lambda one: (one.measure != "voice", use not in (one.first, one.second)))
        return out + [_in_words(one) for one in order]

    def _usable(self, side: Side) -> bool:
        return side in self._objections and not self._objections[side]

    def _over(self, first: Side, second: Side, measure: Measure = "voice") -> int:
        """1 where `first` is above `second` by more than chance, -1 where it is below, 0 where it cannot be told."""
        for one in self._comparisons:
            if one.measure == measure and {one.first, one.second} == {first, second}:
                none = 0.0 if measure == "voice" else 1.0
                found = (one.low is not None and one.low > none) - (one.high is not None and one.high < none)
                return found if one.first == first else -found
        return 0

    def _score(self) -> str:
        low, high = self._voices.interval
        between = "" if low is None or high is None else f" ({low:.0%} to {high:.0%})"
        return f"it goes {self._figure()} of the way from its base to you{between}"

    def _figure(self) -> str:
        return f"{self._voices.twin or 0:.0%}"


def _in_words(one: Paired) -> str:
    first, second = (_NAMES.get(side, side) for side in (one.first, one.second))
    between = "" if one.low is None or one.high is None else f" ({one.low:+.2f} to {one.high:+.2f})"
    if one.measure == "voice":
        return f"voice of {first} minus that of {second}: {one.difference:+.2f}{between}, over {one.prompts} prompts"
    between = "" if one.low is None or one.high is None else f" ({one.low:.2f} to {one.high:.2f})"
    return (
        f"perplexity a word of {first} over that of {second}: {one.difference:.2f}{between}, over {one.prompts} posts"
    )
