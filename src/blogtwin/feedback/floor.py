"""The floor: what an evaluation has to show before a version may serve at all. In: what two evaluations measured. Out: Checks.

Readers decide which version is better; the floor keeps from them what is worse beyond chance: farther from the author's voice,
repeating posts, or predicting held-out posts less well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import exp
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_Z = 1.959964  # of a 95% interval
_ONE_SIDED = 1.644854  # of a one-sided test at 5%
_ALLOWED = 0.10  # how much higher the perplexity may be: learning from preferences costs some
_RESAMPLES = 2000


class Loss(NamedTuple):
    """nats lost on a held-out post's answers, and over how many tokens."""

    nats: float
    tokens: int


@dataclass(frozen=True)
class Measured:
    """One evaluation. voice: 0 the base, 1 the author, with its 95% interval; None: it was not measured.

    answers, copied: how many there were, and how many repeat posts beyond what is normal for the author; flagged: whether
    these are more than chance. losses, base: the version's and its base's, by held-out post.
    """

    voice: float | None = None
    voice_low: float | None = None
    voice_high: float | None = None
    answers: int = 0
    copied: int = 0
    flagged: bool = False
    losses: Mapping[str, Loss] = field(default_factory=dict)
    base: Mapping[str, Loss] = field(default_factory=dict)


class Check(NamedTuple):
    """One thing that was looked at. passed: None when it could not be told. told: the fact, with its interval."""

    name: str
    passed: bool | None
    told: str


def floor(version: Measured, champion: Measured) -> tuple[Check, ...]:
    """The version beside the champion, check by check; it may serve unless one failed.

    Each check fails a version that is as good as the champion with a probability of at most about 5%.
    """
    beside = version, champion
    return (*_voice(*beside), _copying(*beside), _perplexity(*beside), _skill(*beside))


def _voice(version: Measured, champion: Measured) -> Iterator[Check]:
    """A one-sided z-test on the difference, standard errors from the intervals. The prompts are the same, so it is cautious."""
    if version.voice is None or champion.voice is None:
        yield Check("voice", None, "it was not measured for both")
        return
    told = f"{version.voice:.2f} beside {champion.voice:.2f}"
    errors = [_error(side.voice_low, side.voice_high) for side in (version, champion)]
    if None in errors:
        yield Check("voice", None, f"{told}; there are too few answers for an interval")
        return
    error = sum(one**2 for one in errors if one is not None) ** 0.5
    low, high = (version.voice - champion.voice + way * _Z * error for way in (-1, 1))
    passed = version.voice - champion.voice > -_ONE_SIDED * error or version.voice >= champion.voice
    yield Check("voice", passed, f"{told}; the difference lies from {low:+.2f} to {high:+.2f}")


def _error(low: float | None, high: float | None) -> float | None:
    return None if low is None or high is None else (high - low) / (2 * _Z)


def _copying(version: Measured, champion: Measured) -> Check:
    told = f"{version.copied} of {version.answers} answers repeat posts beyond the author's own habit, beside {champion.copied}"
    worse = version.flagged and not (champion.flagged and version.copied <= champion.copied)
    return Check("copying", not worse, told)


def _perplexity(version: Measured, champion: Measured) -> Check:
    """No more than a little above the champion's."""
    found = _ratio(version.losses, champion.losses)
    if found is None:
        return Check("perplexity", None, "it was not measured on the same posts, two or more, for both")
    told = f"{_times(found)} the champion's; at most {1 + _ALLOWED:.2f} is allowed"
    return Check("perplexity", found.low <= 1 + _ALLOWED, told)


def _skill(version: Measured, champion: Measured) -> Check:
    """Not above the base's, or many small losses in a row would add up; a champion that is above it allows that."""
    found, before = _ratio(version.losses, version.base), _ratio(champion.losses, champion.base)
    if found is None:
        return Check("perplexity beside the base", None, "it was not measured on two posts or more")
    passed = found.low <= 1 or (before is not None and before.low > 1)
    return Check("perplexity beside the base", passed, f"{_times(found)} the base's")


class _Ratio(NamedTuple):
    """Of two perplexities; low, high: the 5th and 95th percentile of a bootstrap over the posts."""

    ratio: float
    low: float
    high: float


def _ratio(one: Mapping[str, Loss], other: Mapping[str, Loss]) -> _Ratio | None:
    """Over the posts that both were measured on; None where there are fewer than two."""
    table = np.array([[*one[post], *other[post]] for post in one if post in other], dtype=np.float64)
    if len(table) < 2:
        return None
    drawn = np.random.default_rng(0).integers(len(table), size=(_RESAMPLES, len(table)))
    low, high = np.quantile(_excess(table[drawn]), (0.05, 0.95))
    return _Ratio(exp(_excess(table)), exp(low), exp(high))


def _excess(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nats a token more than the other; table: (…, posts, 4) with nats and tokens of both."""
    total = table.sum(axis=-2)
    excess: NDArray[np.float64] = total[..., 0] / total[..., 1] - total[..., 2] / total[..., 3]
    return excess


def _times(found: _Ratio) -> str:
    return f"{found.ratio:.2f} times ({found.low:.2f} to {found.high:.2f}, 90%)"
