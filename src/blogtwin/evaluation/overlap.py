"""How many words and word sequences an answer shares with the author's real post: BLEU and ROUGE.

In: answers, and for each the author's post. Out: an Overlap. These measure content, not voice. Two good posts under one title
share few sequences, and a text in another voice with the same facts shares many; they are reported because people know them,
and they are low for every model. What to look at is the difference between twin and base, and the voice.

Words are this room's (any script; characters where there are no spaces); an answer is compared with as many words of the
post as it has itself: an answer that ends at its token limit is not brief by choice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from blogtwin.evaluation.words import cut, unspaced, words
from blogtwin.records import Record

CAVEAT = (
    "BLEU and ROUGE count words that an answer shares with your post under the same title. They measure content, not voice, "
    "and are low for every model: two posts by one person under one title would share few sequences as well."
)


class Overlap(Record):
    """Means over the answers. bleu: from 0 to 100; rouge_1, rouge_2, rouge_l: F1, from 0 to 1. caveat: to be shown with them."""

    bleu: float
    rouge_1: float
    rouge_2: float
    rouge_l: float
    answers: int
    caveat: str = CAVEAT


def overlap(answers: Sequence[str], posts: Sequence[str]) -> Overlap:
    """All four. Raises ValueError when there are not as many posts as answers."""
    pairs = [(words(answer), words(cut(post, len(words(answer))))) for answer, post in _pairs(answers, posts)]
    return Overlap(
        bleu=average_bleu(answers, posts),
        rouge_1=_mean([rouge_n(answer, post, 1) for answer, post in pairs]),
        rouge_2=_mean([rouge_n(answer, post, 2) for answer, post in pairs]),
        rouge_l=_mean([rouge_l(answer, post) for answer, post in pairs]),
        answers=len(pairs),
    )


def average_bleu(answers: Sequence[str], posts: Sequence[str]) -> float:
    """The mean of the answers' sentence BLEU against their posts, from 0 to 100; 0 for no answers.

    Papineni et al., 2002, ACL; signature of sacrebleu (Post, 2018, WMT): effective order, exponential smoothing (a sequence
    length without a match counts half as much as the one before it: Chen and Cherry, 2014, WMT, method 3), characters where
    a script has no spaces, else 13a.
    """
    from sacrebleu.metrics.bleu import BLEU

    metrics = {
        spaceless: BLEU(effective_order=True, tokenize=name) for spaceless, name in ((True, "char"), (False, "13a"))
    }
    scores = [
        metrics[unspaced(post)].sentence_score(answer, [cut(post, len(words(answer)))]).score
        for answer, post in _pairs(answers, posts)
    ]
    return _mean(scores)


def rouge_n(answer: Sequence[str], post: Sequence[str], n: int) -> float:
    """F1 of the sequences of `n` words, each counted as often as both have it; 0 where one side has none.

    Lin, 2004, ROUGE: A Package for Automatic Evaluation of Summaries, section 2; F1 as in rouge-score, without its stemmer.
    """
    mine, theirs = (Counter(zip(*(side[start:] for start in range(n)), strict=False)) for side in (answer, post))
    return _f1((mine & theirs).total(), mine.total(), theirs.total())


def rouge_l(answer: Sequence[str], post: Sequence[str]) -> float:
    """F1 of the longest common subsequence of words. Lin, 2004, section 3, with the whole text as one sentence."""
    return _f1(_common(answer, post), len(answer), len(post))


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest common subsequence, a row of the table at a time in the bits of one number.

    Hyyrö, 2004, Bit-parallel LCS-length computation revisited, AWOCA.
    """
    places: dict[str, int] = {}
    for place, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << place
    full = (1 << len(one)) - 1
    row = full
    for word in other:
        same = row & places.get(word, 0)
        row = ((row + same) | (row - same)) & full
    return len(one) - row.bit_count()


def _f1(common: int, of_one: int, of_other: int) -> float:
    """2PR / (P + R), P and R being the shares of one side and the other."""
    return 2 * common / (of_one + of_other) if common else 0.0


def _pairs(answers: Sequence[str], posts: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(answers, posts, strict=True))


def _mean(values: Sequence[float]) -> float:
    return float(sum(values) / len(values)) if values else 0.0
