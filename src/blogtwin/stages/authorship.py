"""The authorship test over an evaluation's texts: did the author write them, or one of the imposters?

In: training posts, held-out posts, answers, and other writers' posts where the user has some. Out: an AuthorshipTest, or the
reason why there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from blogtwin.evaluation.authorship import Attribution, authorship
from blogtwin.evaluation.report import Attributed, AuthorshipTest
from blogtwin.evaluation.words import cut, prose, words

_PROFILE = 60  # posts of the author's, evenly from first to last; the test's time grows with their cube
_RESAMPLES = 2000


def authorship_test(
    training: Sequence[str],
    held_out: Sequence[str],
    sides: Mapping[str, Sequence[str]],
    all_of_base: Sequence[str],
    others: Mapping[str, Sequence[str]],
    seed: int,
) -> tuple[AuthorshipTest | None, str]:
    """The test, or None and why.

    sides: twin, base and few-shot → their answers to the held-out titles; all_of_base: the base's to all prompts.
    """
    imposters = others or {"the base model": all_of_base}
    texts = {"author": _as_long(held_out, sides["twin"]), **sides}
    if not others:
        texts.pop("base")
    flat = [text for side in texts.values() for text in side]
    if not held_out:
        return None, "no authorship test: no held-out title was answered"
    try:
        found = list(authorship(training[:: max(1, len(training) // _PROFILE)], imposters, flat))
    except ValueError as fault:
        return None, f"no authorship test: {fault}"
    told = {name: _mean([found.pop(0) for _ in side], seed) for name, side in texts.items()}
    test = AuthorshipTest(
        imposters="other writers" if others else "the base model's answers",
        writers=len(imposters),
        author=told["author"],
        twin=told["twin"],
        few_shot=told.get("few-shot"),
        base=told.get("base"),
    )
    return test, ""


def _as_long(posts: Sequence[str], answers: Sequence[str]) -> list[str]:
    """The author's posts cut to the answers' usual length: a longer text is easier to attribute."""
    usual = int(np.median([len(words(prose(answer))) for answer in answers])) if answers else 0
    return [cut(post, usual) for post in posts] if usual else list(posts)


def _mean(found: Sequence[Attribution], seed: int) -> Attributed:
    each = np.array([one.probability for one in found])
    low = high = None
    if len(each) > 1:
        draws = np.random.default_rng(seed).integers(0, len(each), size=(_RESAMPLES, len(each)))
        low, high = (float(end) for end in np.percentile(each[draws].mean(1), [2.5, 97.5]))
    return Attributed(probability=float(each.mean()), low=low, high=high, each=tuple(each.round(4).tolist()))
