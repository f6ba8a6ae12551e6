"""Does an answer keep to its prompt? In: prompts, answers, and for some the author's post. Out: a Relevance.

No learned embedding: texts are compared by their words, each weighted by how few of the author's posts have it (TF-IDF;
Salton and Buckley, 1988, Information Processing and Management 24(5)). A single similarity says little; what says something is
whether an answer is nearer to its own prompt than to the other prompts. A model that ignores its prompt does no better
than its answers dealt out at random, which is the test here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import log

import numpy as np
from numpy.typing import NDArray

from blogtwin.evaluation.words import prose, unspaced, words
from blogtwin.records import Record

Array = NDArray[np.float64]

DEALS = 2000  # random orders of the answers
FEWEST = 5  # prompts: of the 120 orders of five answers, the right one is the best by chance in less than 1 of 100
_STEM = 6  # letters of a word that are compared, so that its endings matter less
_SURE = 0.025  # of each of two tests, so that 1 in 20 models that ignore their prompts passes


class Matching(Record):
    """Texts beside subjects, each of which belongs to one of them.

    reciprocal_rank: the mean of 1 / the rank of its own subject, from 0 to 1; chance: what texts dealt at random would get.
    first: share of the texts whose own subject is the nearest. p: the probability of as much by chance. ranks: each text's,
    1 is the nearest; the middle of those that are equally near.
    """

    texts: int
    reciprocal_rank: float
    chance: float
    first: float
    p: float
    ranks: tuple[float, ...]


class Relevance(Record):
    """prompts: answers beside the prompts. posts: answers beside the author's posts under the same titles.

    control: those posts beside their prompts, which shows what can be told from these prompts at all. Each of the three is None
    where there are fewer than two.

    off_topic: the numbers of the answers that share no word of weight with their prompt, nor are near the author's post.
    flagged: whether the model seems to ignore its prompts; None when there are too few to tell. reasons: in words.
    """

    prompts: Matching | None
    posts: Matching | None
    control: Matching | None
    off_topic: tuple[int, ...]
    flagged: bool | None
    reasons: tuple[str, ...]


def relevance(
    prompts: Sequence[str], answers: Sequence[str], posts: Sequence[str | None], background: Sequence[str], seed: int
) -> Relevance:
    """How well `answers` keep to their prompts.

    posts: the author's own post for each prompt, None where there is none. background: the author's posts, which say how common a
    word is. Raises ValueError when the first three are not equally many.
    """
    if not len(prompts) == len(answers) == len(posts):
        raise ValueError(
            f"{len(prompts)} prompts, {len(answers)} answers and {len(posts)} posts: each prompt needs all"
        )
    asked, said = [terms(text) for text in prompts], [terms(prose(text)) for text in answers]
    own = [number for number, post in enumerate(posts) if post is not None]
    theirs = [terms(prose(posts[number] or "")) for number in own]
    weights = term_weights([*(terms(prose(text)) for text in background), *theirs], asked)
    to_prompts = cosines(said, asked, weights)
    by_prompt = _matching(to_prompts, seed)
    by_post = _matching(cosines([said[number] for number in own], theirs, weights), seed)
    control = _matching(cosines(theirs, [asked[number] for number in own], weights), seed)
    flagged, reasons = _judged(by_prompt, by_post, control)
    far = {own[place] for place, rank in enumerate(by_post.ranks) if 2 * rank > len(own)} if by_post else set()
    strange = [
        number
        for number in range(len(prompts))
        if to_prompts[number, number] == 0 and (number in far or posts[number] is None or not by_post)
    ]
    if strange:
        reasons.append(f"{len(strange)} of {len(answers)} answers have no word of weight from their prompt")
    return Relevance(
        prompts=by_prompt,
        posts=by_post,
        control=control,
        off_topic=tuple(strange),
        flagged=flagged,
        reasons=tuple(reasons),
    )


def terms(text: str) -> Counter[str]:
    """The beginnings of words; pairs of characters where a script has no spaces.

    Cutting words to their first letters does nearly as well as a stemmer, and does it in any language: Can et al., 2008,
    Information retrieval on Turkish texts, JASIST 59(3).
    """
    found = words(text)
    if unspaced(text):
        return Counter(one + other for one, other in pairwise(found))
    return Counter(word[:_STEM] for word in found)


def term_weights(texts: Sequence[Counter[str]], prompts: Sequence[Counter[str]]) -> dict[str, float]:
    """Each term's weight: the logarithm of how few texts have it, times the share of the prompts that do not.

    The second factor takes out "write a post about": rare in posts, and in every prompt.
    """
    in_texts = Counter(term for text in texts for term in text)
    in_prompts = Counter(term for prompt in prompts for term in prompt)
    many = len(texts) + 1
    return {
        term: log(1 + many / (1 + in_texts[term])) * (1 - in_prompts[term] / (len(prompts) + 1))
        if in_prompts[term] < max(2, 0.5 * len(prompts))
        else 0.0
        for term in in_texts.keys() | in_prompts.keys()
    }


def cosines(texts: Sequence[Counter[str]], subjects: Sequence[Counter[str]], weights: dict[str, float]) -> Array:
    """The cosine of each text and each subject, shape (texts, subjects); counts by their logarithm."""
    place = {term: number for number, term in enumerate(sorted({term for subject in subjects for term in subject}))}
    kept = np.zeros((2, max(len(texts), len(subjects)), len(place)))
    for side, group in enumerate((texts, subjects)):
        for row, counts in enumerate(group):
            norm = 0.0
            for term, times in counts.items():
                value = (1 + log(times)) * weights.get(term, 0.0)
                norm += value * value
                if term in place:
                    kept[side, row, place[term]] = value
            kept[side, row] /= max(norm, 1e-12) ** 0.5
    return np.asarray(kept[0, : len(texts)] @ kept[1, : len(subjects)].T)


def _matching(similar: Array, seed: int) -> Matching | None:
    """Ranks of the diagonal, and a permutation test. similar: shape (n, n); None for fewer than two.

    A subject that is near to every text is near to none in particular, so each column's mean is taken out first: a model that
    gives one answer to all prompts then has nothing but ties, and exactly chance's score.
    """
    many = len(similar)
    if many < 2:
        return None
    centred = np.round(similar - similar.mean(0), 12)
    above = (centred[:, :, None] < centred[:, None, :]).sum(2)
    tied = (centred[:, :, None] == centred[:, None, :]).sum(2)
    harmonic = np.r_[0.0, np.cumsum(1 / np.arange(1, many + 1))]
    reciprocal = (harmonic[above + tied] - harmonic[above]) / tied
    every = np.arange(many)
    score = float(reciprocal[every, every].mean())
    chance = np.random.default_rng(seed)
    dealt = np.array([reciprocal[every, chance.permutation(many)].mean() for _ in range(DEALS)])
    return Matching(
        texts=many,
        reciprocal_rank=score,
        chance=float(harmonic[many] / many),
        first=float((1 / tied * (above == 0))[every, every].mean()),
        p=float((1 + (dealt >= score - 1e-9).sum()) / (1 + DEALS)),
        ranks=tuple((above + (tied + 1) / 2)[every, every].tolist()),
    )


def _judged(
    prompts: Matching | None, posts: Matching | None, control: Matching | None
) -> tuple[bool | None, list[str]]:
    if prompts is None:
        return None, ["no relevance: it takes at least two prompts to tell whether an answer belongs to its own"]
    kept = [one for one in (prompts, posts) if one is not None and one.p < _SURE]
    if kept:
        best = min(kept, key=lambda one: one.p)
        return False, [
            f"{best.first:.0%} of the answers are nearest to their own prompt; chance is {1 / best.texts:.0%}"
        ]
    if prompts.texts < FEWEST:
        return None, [
            f"too few prompts to tell whether the answers keep to them: {prompts.texts}, and {FEWEST} are needed"
        ]
    if control is not None and control.texts >= FEWEST and control.p >= _SURE:
        return None, ["your own posts cannot be told to belong to these prompts either: no verdict"]
    return True, [
        f"the answers could be dealt to the prompts at random: {prompts.first:.0%} are nearest to their own prompt, "
        f"and chance is {1 / prompts.texts:.0%}"
    ]
