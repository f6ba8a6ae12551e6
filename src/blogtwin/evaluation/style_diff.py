"""What the twin does more often than its author, and what less, in words: phrases, openings, marks, lengths.

In: answers, the author's posts. Out: a StyleDiff, whose differences are sentences that a writer understands. A difference is
told when chance makes one in a hundred such and when it is large; a word of one subject is not told: it must stand in several
texts, not be the prompt's, and differ from the author's posts under the same titles too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from math import log, sqrt
from typing import Literal, NamedTuple

from blogtwin.evaluation.contrast import Counted, contrast
from blogtwin.evaluation.words import paragraphs, prose, sentences, unspaced, words
from blogtwin.records import Record

MARKS: Mapping[str, str] = {
    ",": "commas", ";": "semicolons", ":": "colons", "—": "long dashes", "–": "short dashes", "(": "brackets",
    "!": "exclamation marks", "?": "question marks", "…": "ellipses", '"': "quotation marks", "**": "bold signs", "/": "slashes",
    "&": "ampersands", "、": "commas (、)", "。": "full stops (。)", "！": "exclamation marks (！)", "？": "question marks (？)",
    "「": "quotation marks (「)",
}  # fmt: skip
_LEVEL = str.maketrans({"“": '"', "”": '"', "„": '"'})  # curly or straight is the editor's choice
_SURE = 2.6  # z-score: one in a hundred by chance
_VERY_SURE = 3.5  # of phrases, of which thousands are looked at: one in two thousand
_PRIOR = 1000.0  # words that the prior counts for
_SPREAD = 0.25  # of the texts of a side a phrase stands in
_WORDS = 200_000  # of the author's, evenly from all posts: more change nothing and cost seconds
_SHORT, _LONG = 6, 30  # words of a sentence
_PHRASES = 15  # told, each way

Kind = Literal["phrase", "paragraph opening", "sentence opening", "mark", "length"]


class Difference(Record):
    """One habit. twin, author: rates in `unit`. z: how sure, above 0 the twin has more. sentence: the same in words."""

    kind: Kind
    what: str
    twin: float
    author: float
    unit: str
    z: float
    sentence: str


class StyleDiff(Record):
    """What the twin over-uses and under-uses, the surest first. words: how many of each side were looked at."""

    over: tuple[Difference, ...]
    under: tuple[Difference, ...]
    twin_words: int
    author_words: int


class _Text(NamedTuple):
    prose: str
    blocks: list[list[list[str]]]  # paragraphs of sentences of words
    words: int

    @property
    def sentences(self) -> list[list[str]]:
        return [one for block in self.blocks for one in block if one]


def style_diff(
    answers: Sequence[str], posts: Sequence[str], matched: Sequence[str], prompts: Sequence[str]
) -> StyleDiff:
    """The differences between `answers` and the author.

    posts: the author's, all there are. matched: those of them under the same titles as the answers (may be none); a phrase is
    told only when it differs from these as well, so that the subject is not taken for the style. prompts: whose words do not
    count.
    """
    scale = 2 if unspaced("\n".join(post[:500] for post in posts) or "\n".join(answers)) else 1
    mine, theirs, same = ([_read(text) for text in side] for side in (answers, _sample(posts), matched))
    found = [*_openings(mine, theirs), *_marks(mine, theirs), *_lengths(mine, theirs, scale)]
    found += _phrases(mine, theirs, same, {word for prompt in prompts for word in words(prompt)}, scale)
    found.sort(key=lambda one: (-abs(one.z), one.what))
    return StyleDiff(
        over=tuple(one for one in found if one.z > 0),
        under=tuple(one for one in found if one.z < 0),
        twin_words=sum(text.words for text in mine),
        author_words=sum(text.words for text in theirs),
    )


def _sample(posts: Sequence[str]) -> list[str]:
    """As many posts as have about _WORDS words together, evenly from first to last."""
    length = sum(map(len, posts)) // 6  # characters of an English word and the space behind it
    every = max(1, round(length / _WORDS))
    return list(posts[::every])


def _read(text: str) -> _Text:
    spoken = prose(text)
    lines = [one for one in paragraphs(spoken) if not one.lstrip().startswith(("#", "|"))]
    blocks = [[words(one) for one in sentences(line)] for line in lines]
    return _Text(spoken.translate(_LEVEL), blocks, sum(len(one) for block in blocks for one in block))


def _difference(
    kind: Kind,
    what: str,
    mine: Counted,
    theirs: Counted,
    per: int,
    unit: str,
    tell: Callable[[float, float], str],
    least: float = 1.5,
) -> list[Difference]:
    """One difference, or none when it is small or uncertain. tell: the two rates → the sentence."""
    found = contrast(mine, theirs)
    if abs(found.z) < _SURE or max(found.ratio, 1 / found.ratio) < least:
        return []
    twin, author = per * found.twin, per * found.author
    return [
        Difference(
            kind=kind,
            what=what,
            twin=twin,
            author=author,
            unit=unit,
            z=found.z,
            sentence=tell(found.twin, found.author),
        )
    ]


def _openings(mine: Sequence[_Text], theirs: Sequence[_Text]) -> list[Difference]:
    """First words of paragraphs, and first one and two words of sentences."""
    out: list[Difference] = []
    kinds: tuple[tuple[Kind, str, int], ...] = (
        ("paragraph opening", "paragraphs", 1),
        ("sentence opening", "sentences", 1),
        ("sentence opening", "sentences", 2),
    )
    for kind, unit, length in kinds:
        sides = [[_first(text, kind, length) for text in side] for side in (mine, theirs)]
        common = [Counter(chain.from_iterable(side)).most_common(30) for side in sides]
        for opening in sorted({what for side in common for what, times in side if times >= 3}):
            counted = [Counted([text.count(opening) for text in side], [len(text) for text in side]) for side in sides]
            rates = [sum(side.times) / max(1, sum(side.sizes)) for side in counted]
            if abs(rates[0] - rates[1]) >= 0.03:

                def tell(twin: float, author: float, opening: str = opening, unit: str = unit) -> str:
                    return f"the twin opens {_of(twin, author, unit)} with “{opening}”, you {_of(author, twin)}"

                out += _difference(kind, opening, counted[0], counted[1], 100, f"% of {unit}", tell)
    return out


def _first(text: _Text, kind: Kind, length: int) -> list[str]:
    said = [block[0] for block in text.blocks if block] if kind == "paragraph opening" else text.sentences
    return [" ".join(one[:length]) for one in said if len(one) >= length]


def _of(share: float, other: float, unit: str = "") -> str:
    """4 of 10 paragraphs: of as many as both shares need to be told apart."""
    many = 10 if min(share, other) >= 0.095 or (max(share, other) >= 0.25 and min(share, other) < 0.005) else 100
    return f"{round(share * many)} of {many}{' ' + unit if unit else ''}" if share else "none"


def _marks(mine: Sequence[_Text], theirs: Sequence[_Text]) -> list[Difference]:
    out: list[Difference] = []
    for mark, name in MARKS.items():
        counted = [
            Counted([text.prose.count(mark) for text in side], [text.words for text in side]) for side in (mine, theirs)
        ]

        def tell(twin: float, author: float, name: str = name) -> str:
            return f"the twin writes {_times(1000 * twin)} {name} in 1,000 words, you {_times(1000 * author)}"

        out += _difference("mark", mark, counted[0], counted[1], 1000, "in 1,000 words", tell)
    return out


def _lengths(mine: Sequence[_Text], theirs: Sequence[_Text], scale: int) -> list[Difference]:
    sides = (mine, theirs)
    said = [[text.sentences for text in side] for side in sides]
    unit = "characters" if scale == 2 else "words"

    def sentence(twin: float, author: float) -> str:
        return f"the twin's sentences have {twin:.0f} {unit} on average, yours {author:.0f}"

    def paragraph(twin: float, author: float) -> str:
        return f"the twin's paragraphs have {twin:.1f} sentences on average, yours {author:.1f}"

    many = [[len(text) for text in side] for side in said]
    both = [Counted([text.words for text in sides[which]], many[which]) for which in (0, 1)]
    out = _difference("length", "words a sentence", both[0], both[1], 1, f"{unit} a sentence", sentence, 1.15)
    both = [Counted(many[which], [len(text.blocks) for text in sides[which]]) for which in (0, 1)]
    out += _difference("length", "sentences a paragraph", both[0], both[1], 1, "sentences a paragraph", paragraph, 1.25)
    for name, chosen in (
        (f"of at most {_SHORT * scale} {unit}", lambda one: len(one) <= _SHORT * scale),
        (f"of {_LONG * scale} {unit} and more", lambda one: len(one) >= _LONG * scale),
    ):
        both = [Counted([sum(map(chosen, text)) for text in said[which]], many[which]) for which in (0, 1)]

        def share(twin: float, author: float, name: str = name) -> str:
            return f"{_of(twin, author)} of the twin's sentences are {name}, {_of(author, twin)} of yours"

        out += _difference("length", f"sentences {name}", both[0], both[1], 100, "% of sentences", share)
    return out


def _phrases(
    mine: Sequence[_Text], theirs: Sequence[_Text], same: Sequence[_Text], barred: set[str], scale: int
) -> list[Difference]:
    """Words and phrases: the log-odds ratio with an informative Dirichlet prior, as a z-score.

    The prior is what both sides say together, counted for _PRIOR words, which pulls rare words to no difference.
    Monroe, Colaresi and Quinn, 2008, Fightin' Words, Political Analysis 16(4), equations 16 and 22.
    """
    found: list[tuple[float, str, int, float, float]] = []
    joint = "" if scale == 2 else " "
    for length in range(1 + (scale == 2), 4 * scale - (scale == 2)):
        twin, author, other = (_Grams.of(side, length, joint) for side in (mine, theirs, same))
        total = twin.total + author.total
        if not twin.total or not author.total:
            continue
        for what in twin.counts.keys() | author.counts.keys():
            y, x = twin.counts[what], author.counts[what]
            rate, own = y / twin.total, x / author.total
            side = twin if rate > own else author
            ratio = max(rate, own) / max(min(rate, own), 0.5 / (author.total if side is twin else twin.total))
            if ratio < 2 or side.texts[what] < max(2, _SPREAD * side.many) or barred & set(what.split(joint or None)):
                continue
            if other.total and (rate > own) != (rate > 1.5 * other.counts[what] / other.total):
                continue
            prior = _PRIOR * (y + x) / total
            odds = [
                log((times + prior) / (of + _PRIOR - times - prior))
                for times, of in ((y, twin.total), (x, author.total))
            ]
            z = (odds[0] - odds[1]) / sqrt(1 / (y + prior) + 1 / (x + prior))
            if abs(z) < _VERY_SURE:
                continue
            # The odds take each use for a coin thrown anew; a text that uses a word once uses it again.
            texts = contrast(twin.counted(what), author.counted(what))
            z = min(z, texts.z, key=abs)
            if abs(z) >= _VERY_SURE:
                found.append((z, what, y if z > 0 else x, rate, own))
    return [_told(z, what, rate, own) for z, what, _, rate, own in _one_of_each(found)]


class _Grams(NamedTuple):
    """Sequences of words of one side, none across a sentence's end."""

    counts: Counter[str]
    texts: Counter[str]
    total: int
    each: list[Counter[str]]  # of each text

    @property
    def many(self) -> int:
        return len(self.each)

    def counted(self, what: str) -> Counted:
        return Counted([one[what] for one in self.each], [one.total() for one in self.each])

    @classmethod
    def of(cls, side: Sequence[_Text], length: int, joint: str) -> _Grams:
        each = [
            Counter(
                joint.join(gram)
                for one in text.sentences
                for gram in zip(*(one[start:] for start in range(length)), strict=False)
            )
            for text in side
        ]
        counts: Counter[str] = Counter()
        texts: Counter[str] = Counter()
        for own in each:
            counts.update(own)
            texts.update(own.keys())
        return cls(counts, texts, counts.total(), each)


def _one_of_each(
    found: Sequence[tuple[float, str, int, float, float]],
) -> list[tuple[float, str, int, float, float]]:
    """Of phrases that stand in one another the longer, where it makes up most of the shorter's uses; else the shorter."""
    kept: list[tuple[float, str, int, float, float]] = []
    told = Counter[bool]()
    for one in sorted(found, key=lambda one: (-abs(one[0]), one[1])):
        inside = [place for place, other in enumerate(kept) if _within(one[1], other[1]) or _within(other[1], one[1])]
        if not inside and told[one[0] > 0] < _PHRASES:
            told[one[0] > 0] += 1
            kept.append(one)
        for place in inside[:1]:
            if len(one[1]) > len(kept[place][1]) and one[2] >= 0.7 * kept[place][2]:
                kept[place] = one
    return kept


def _within(part: str, whole: str) -> bool:
    return f" {part} " in f" {whole} " or (not part.isascii() and " " not in part and part in whole)


def _told(z: float, what: str, twin: float, author: float) -> Difference:
    twin, author = 10_000 * twin, 10_000 * author
    said = f"the twin writes “{what}” {_often(twin)} in 10,000 words, you {_often(author)}"
    if not twin:
        said = f"the twin never writes “{what}”, you {_often(author)} in 10,000 words"
    return Difference(kind="phrase", what=what, twin=twin, author=author, unit="in 10,000 words", z=z, sentence=said)


def _often(rate: float) -> str:
    return "never" if not rate else "once" if round(rate) == 1 else f"{_times(rate)} times"


def _times(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 10 or not rate else f"{rate:.1f}"
