"""The floor: what an evaluation has to show before a version may serve at all. In: what two evaluations measured. Out: Checks.

Readers decide which version is better; the floor keeps from them what is worse beyond chance: farther from the author's voice,
repeating posts, or predicting held-out posts less well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import exp, log
from typing import NamedTuple

import numpy as np

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
    these are more than chance. losses: by held-out post.
    """

    voice: float | None = None
    voice_low: float | None = None
    voice_high: float | None = None
    answers: int = 0
    copied: int = 0
    flagged: bool = False
    losses: Mapping[str, Loss] = field(default_factory=dict)


class Check(NamedTuple):
    """One thing that was looked at. passed: None when it could not be told. told: the fact, with its interval."""

    name: str
    passed: bool | None
    told: str


def floor(version: Measured, champion: Measured) -> tuple[Check, ...]:
    """The version beside the champion, check by check; it may serve unless one failed.

    Each check fails a version that is as good as the champion with a probability of at most about 5%.
    """
    return (*_voice(version, champion), _copying(version, champion), _perplexity(version, champion))


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
    """The ratio of perplexities over the posts that both were measured on, with a bootstrap interval over these posts."""
    shared = [(version.losses[post], champion.losses[post]) for post in version.losses if post in champion.losses]
    if not shared:
        return Check("perplexity", None, "it was not measured on the same posts for both")
    table = np.array([[one.nats, one.tokens, other.nats, other.tokens] for one, other in shared])

    def excess(rows: np.ndarray) -> np.ndarray:
        total = rows.sum(axis=-2)
        return np.asarray(total[..., 0] / total[..., 1] - total[..., 2] / total[..., 3])

    ratio = exp(float(excess(table)))
    if len(shared) == 1:
        return Check("perplexity", None, f"{ratio:.2f} times the champion's; one post gives no interval")
    drawn = np.random.default_rng(0).integers(len(table), size=(_RESAMPLES, len(table)))
    low, high = np.quantile(excess(table[drawn]), (0.05, 0.95))
    told = f"{ratio:.2f} times the champion's ({exp(low):.2f} to {exp(high):.2f}, 90%); at most {1 + _ALLOWED:.2f} is allowed"
    return Check("perplexity", bool(low <= log(1 + _ALLOWED)), told)
