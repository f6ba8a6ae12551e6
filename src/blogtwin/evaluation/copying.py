"""What a model repeats from the posts it was trained on: the passages with their sources, and how much that is beside normal.

In: prompts, answers, the training posts. Out: a Copying. Every author repeats some of his own words from post to post; so
the measure of normal is the author: posts looked at as if they were answers, each beside all the other posts.

Case and punctuation do not count, nor do code and addresses, nor what the prompt said itself. Where a script has no spaces,
two characters stand for a word. Memorised text is told by long verbatim sequences, as in Carlini et al., 2023, Quantifying
Memorization Across Neural Language Models, ICLR; how much of it, by shared n-grams.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import NamedTuple

from blogtwin.evaluation.runs import Runs, Stretch, Words, covered, find_runs, stretches
from blogtwin.evaluation.words import cut, prose, unspaced, words
from blogtwin.records import Record

NGRAM = 8  # words: as many in a row are seldom written twice by chance
SEED = 4  # words in a row at which a passage is noticed, so that one may be changed every five
PASSAGE = 12  # equal words of a passage that is worth naming
LONG = 50  # words in a row that nobody repeats by chance; also the fewest words of an author's text that is a measure
BASELINE = 200  # posts that show what is normal
LISTED = 20
_TIGHT = 0.6  # of a passage's words that are the post's


class Source(NamedTuple):
    """A training post: what it is called, and what it says, as Markdown."""

    id: str
    title: str
    text: str


class Passage(Record):
    """Words of an answer that stand in a post. answer: which, counted from 0. words: how many; matched: of them the post's.

    verbatim: not one word differs; exact: not one character either. text: as the answer has it; source: as the post does.
    under: the heading it stands under in the post, empty above the first. word: the place of its first word in the post's
    prose, counted from 1.
    """

    answer: int
    words: int
    matched: int
    verbatim: bool
    exact: bool
    text: str
    source: str
    post_id: str
    title: str
    under: str
    word: int


class Shared(Record):
    """How much a set of texts repeats. ngrams: share of their different 8-word sequences that stand in a post (of another title).

    low, high: the 5th and 95th percentile of that share from text to text. longest, usual_longest: equal words of the longest
    passage of all, and of the 95th percentile of the texts.
    """

    texts: int
    words: int
    ngrams: float
    low: float
    high: float
    longest: int
    usual_longest: int


class Copying(Record):
    """answers: what they share with the posts. author: what the posts share with each other, at the same length.

    author is None where there is only one post. rates, longest: one an answer. passages: the longest first. copied: the numbers
    of the answers beyond normal. flagged: whether those are more than chance, or one of them is long; reasons: why, in words.
    """

    answers: Shared
    author: Shared | None
    rates: tuple[float, ...]
    longest: tuple[int, ...]
    passages: tuple[Passage, ...]
    copied: tuple[int, ...]
    flagged: bool
    reasons: tuple[str, ...]


def copying(prompts: Sequence[str], answers: Sequence[str], posts: Sequence[Source]) -> Copying:
    """What `answers` repeat from `posts`. Raises ValueError when there are not as many prompts as answers."""
    if len(prompts) != len(answers):
        raise ValueError(f"{len(prompts)} prompts and {len(answers)} answers: each answer needs its own")
    spoken = [prose(answer) for answer in answers]
    scale = 2 if unspaced("\n".join(post.text[:2000] for post in posts[:20]) or "\n".join(spoken)) else 1
    bodies = [prose(post.text) for post in posts]
    split = [words(one) for one in spoken]
    chosen = _spread(len(posts)) if len(posts) > 1 else []
    length = _typical([len(one) for one in split], scale)
    normal = [words(cut(bodies[number], length)) for number in chosen]
    texts = Words([*split, *normal])
    said = [*(words(prompt) for prompt in prompts), *([] for _ in normal)]
    runs = find_runs(texts, (words(body) for body in bodies), said, [-1] * len(split) + chosen, SEED * scale)
    found = [one for one in stretches(runs, PASSAGE * scale) if one.matched >= _TIGHT * one.length]
    shares = covered(runs, texts, said, NGRAM * scale)
    longest = _longest(runs, found, len(texts.texts), NGRAM * scale)
    mine = _shared(shares[: len(split)], longest[: len(split)], split)
    author = _shared(shares[len(split) :], longest[len(split) :], normal) if normal else None
    rates = [_share(*one) for one in shares[: len(split)]]
    copied = _beyond(rates, longest[: len(split)], author, scale)
    passages = [_passage(one, spoken, bodies, posts) for one in _apart([one for one in found if one.text < len(split)])]
    flagged, reasons = _judged(mine, author, copied, longest[: len(split)], passages, scale)
    return Copying(
        answers=mine,
        author=author,
        rates=tuple(round(rate, 4) for rate in rates),
        longest=tuple(longest[: len(split)]),
        passages=tuple(passages),
        copied=tuple(copied),
        flagged=flagged,
        reasons=tuple(reasons),
    )


def _spread(posts: int) -> list[int]:
    """The numbers of at most BASELINE posts, evenly from first to last."""
    many = min(posts, BASELINE)
    return [number * posts // many for number in range(many)]


def _typical(lengths: Sequence[int], scale: int) -> int:
    """The length at which posts are compared with answers: the answers' median, and never too short to show anything."""
    ordered = sorted(length for length in lengths if length >= NGRAM * scale)
    return max(LONG * scale, ordered[len(ordered) // 2]) if ordered else 4 * LONG * scale


def _longest(runs: Runs, found: Sequence[Stretch], texts: int, least: int) -> list[int]:
    """Equal words of each text's longest passage; a short one counts when it is verbatim."""
    out = [0] * texts
    for text, length in zip(runs.text.tolist(), runs.length.tolist(), strict=True):
        if length >= least:
            out[text] = max(out[text], length)
    for one in found:
        out[one.text] = max(out[one.text], one.matched)
    return out


def _share(found: int, of: int) -> float:
    return found / of if of else 0.0


def _shared(shares: Sequence[tuple[int, int]], longest: Sequence[int], texts: Sequence[Sequence[str]]) -> Shared:
    measured = sorted(_share(*one) for one in shares if one[1])
    return Shared(
        texts=len(texts),
        words=sum(map(len, texts)),
        ngrams=_share(sum(one[0] for one in shares), sum(one[1] for one in shares)),
        low=_percentile(measured, 0.05),
        high=_percentile(measured, 0.95),
        longest=max(longest, default=0),
        usual_longest=int(_percentile(sorted(longest), 0.95)),
    )


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[round(share * (len(ordered) - 1))] if ordered else 0.0


def _beyond(rates: Sequence[float], longest: Sequence[int], author: Shared | None, scale: int) -> list[int]:
    """The answers that repeat more than 19 of 20 of the author's own texts do, and more than a saying or a title."""
    rate = max(0.1, 1.5 * author.high if author else 0)
    words_in_a_row = max(2 * PASSAGE * scale, 1.5 * author.usual_longest if author else 0)
    return [
        number
        for number, (share, length) in enumerate(zip(rates, longest, strict=True))
        if length >= words_in_a_row or (share > rate and length >= PASSAGE * scale)
    ]


def _apart(found: Sequence[Stretch]) -> list[Stretch]:
    """The longest passages, none of which stands in another's words; of equal ones the earliest post's."""
    taken: dict[int, list[tuple[int, int]]] = {}
    kept: list[Stretch] = []
    for one in sorted(found, key=lambda one: (-one.matched, one.length, one.text, one.post, one.at)):
        spans = taken.setdefault(one.text, [])
        end = one.at + one.length
        if all(end <= start or stop <= one.at for start, stop in spans):
            spans.append((one.at, end))
            kept.append(one)
        if len(kept) == LISTED:
            break
    return kept


def _passage(one: Stretch, answers: Sequence[str], bodies: Sequence[str], posts: Sequence[Source]) -> Passage:
    answer, body = answers[one.text], bodies[one.post]
    text, _ = _words_of(answer, one.at, one.length)
    source, before = _words_of(body, one.there, one.length_there)
    headings = [line.lstrip("#").strip() for line in before.split("\n") if line.startswith("#")]
    return Passage(
        answer=one.text,
        words=one.length,
        matched=one.matched,
        verbatim=one.matched == one.length == one.length_there,
        exact=text.split() == source.split(),
        text=text,
        source=source,
        post_id=posts[one.post].id,
        title=posts[one.post].title,
        under=headings[-1] if headings else "",
        word=one.there + 1,
    )


def _words_of(text: str, at: int, length: int) -> tuple[str, str]:
    """Words `at` to `at + length` of a text as it is written, and what stands before them."""
    before = cut(text, at) if at else ""
    return cut(text, at + length)[len(before) :].strip(), before


def _judged(
    mine: Shared,
    author: Shared | None,
    copied: Sequence[int],
    longest: Sequence[int],
    passages: Sequence[Passage],
    scale: int,
) -> tuple[bool, list[str]]:
    unit = "characters" if scale == 2 else "words"
    measure = (
        f"your own posts repeat {author.ngrams:.1%} of each other, {author.usual_longest} {unit} at the most in 19 of 20"
        if author
        else "there is one post only, so there is no measure of normal"
    )
    reasons = []
    if copied:
        reasons.append(
            f"{len(copied)} of {mine.texts} answers repeat more of the training posts than you repeat of yourself: "
            f"{mine.ngrams:.1%} of all sequences of {NGRAM * scale} {unit}; {measure}"
        )
    if copied and passages:
        first = passages[0]
        kind = "word for word" if first.verbatim else f"nearly word for word ({first.matched} of them the same)"
        where = f", under “{first.under}”" if first.under else ""
        reasons.append(
            f"answer {first.answer + 1} has {first.words} {unit} in a row {kind} from “{first.title}”{where}, "
            f"from {unit[:-1]} {first.word} on"
        )
    alone = max((longest[number] for number in copied), default=0) >= LONG * scale
    return alone or (bool(copied) and _tail(len(copied), mine.texts) < 0.05), reasons


def _tail(found: int, of: int, chance: float = 0.05) -> float:
    """The probability of `found` or more, when each of `of` happens with `chance`: binomial."""
    return 1 - sum(comb(of, many) * chance**many * (1 - chance) ** (of - many) for many in range(found))
