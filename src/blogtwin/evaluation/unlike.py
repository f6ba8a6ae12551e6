"""Which of the twin's sentences are least like the author, and why? In: answers, the author's posts. Out: an Unlike a sentence.

A model of the author's letters says how surprising each sentence is; the author's own sentences from posts that the model
has not seen say how surprising is usual, for sentences as long. Letters instead of words: a rare word of a subject surprises
little when it is spelt as words of the language are, and a turn of phrase surprises in each of its words.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from math import log2
from typing import NamedTuple

from blogtwin.evaluation.words import prose, sentences, unspaced, words
from blogtwin.records import Record

ORDER = 6  # letters looked at together; half as many where a letter is a word
LETTERS = 1_000_000  # of the author's, evenly from all posts: about 180,000 words, learned in a few seconds
_OUTSIDE = 5  # every fifth post is kept out of the model, to say what is usual
_FEWEST = 5  # words of a sentence that can be judged
_USUAL = 40  # sentences of the author's that one is compared with, of those nearest in length
_OWN = 4000  # sentences of the author's at most


class Unlike(Record):
    """One sentence of an answer. surprise: bits a letter. z: in standard deviations of the author's own sentences as long.

    share: of these own sentences that surprise less. reason: in words.
    """

    answer: int
    sentence: str
    surprise: float
    z: float
    share: float
    reason: str


class Letters:
    """Which letter follows which: shorter and longer contexts, mixed by how many different letters each has been followed by.

    Interpolated as method C of Witten and Bell, 1991, IEEE Transactions on Information Theory 37(4).
    """

    def __init__(self, texts: Sequence[str], order: int) -> None:
        self.order = order
        self._grams: list[Counter[str]] = [Counter() for _ in range(order + 1)]  # by length; of length 0 the empty one
        for text in texts:
            line = _line(text)
            for length in range(1, order + 1):
                self._grams[length].update(line[at : at + length] for at in range(len(line) - length + 1))
        self._grams[0][""] = self._grams[1].total()
        self._kinds: list[Counter[str]] = [Counter(gram[:-1] for gram in grams) for grams in self._grams[1:]]
        self._alphabet = len(self._grams[1]) + 100  # and as many that the author has not used yet

    def bits(self, line: str, at: int) -> float:
        """How surprising the letter at `at` is after those before it."""
        chance = 1 / self._alphabet
        for length in range(min(self.order - 1, at) + 1):
            context = line[at - length : at]
            kinds = self._kinds[length].get(context, 0)
            if not kinds:
                break
            seen = self._grams[length][context]
            chance = (self._grams[length + 1].get(context + line[at], 0) + kinds * chance) / (seen + kinds)
        return -log2(chance)


class _Read(NamedTuple):
    """A sentence: bits of each word with the space before it, and the letters they are of. counted: words that are judged."""

    words: list[str]
    bits: list[float]
    letters: list[int]
    counted: list[bool]

    @property
    def surprise(self) -> float:
        """Bits a letter."""
        letters = sum(many for many, counts in zip(self.letters, self.counted, strict=True) if counts)
        return sum(bits for bits, counts in zip(self.bits, self.counted, strict=True) if counts) / max(1, letters)


def unlike(prompts: Sequence[str], answers: Sequence[str], posts: Sequence[str], most: int = 20) -> list[Unlike]:
    """The sentences of `answers` that are least like the author of `posts`, at most `most`, the least like first.

    Words of its prompt do not count against an answer. Nothing for fewer than two posts, or too few sentences in them.
    """
    bodies = [prose(post) for post in posts]
    spaceless = unspaced("\n".join(body[:500] for body in bodies))
    outside = bodies[_OUTSIDE - 1 :: _OUTSIDE] or bodies[-1:]
    learned = [body for number, body in enumerate(bodies) if number % _OUTSIDE != _OUTSIDE - 1]
    learned = learned if len(bodies) >= _OUTSIDE else bodies[:-1]
    every = max(1, round(sum(map(len, learned)) / LETTERS))
    model = Letters(learned[::every], ORDER // 2 if spaceless else ORDER)
    own = sorted(
        (len(one.words), one.surprise)
        for one in (_read(model, sentence, set()) for sentence in _judgeable(outside)[:_OWN])
        if any(one.counted)
    )
    if not learned or len(own) < _USUAL // 4:
        return []
    known = {word for body in bodies for word in words(body)}
    found = []
    for number, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        asked = set(words(prompt))
        for sentence in _judgeable([prose(answer)]):
            read = _read(model, sentence, asked)
            if any(read.counted):
                found.append(_compared(number, sentence, read, own, known, "" if spaceless else " "))
    found.sort(key=lambda one: (-one.z, one.answer, one.sentence))
    return list({one.sentence: one for one in reversed(found)}.values())[::-1][:most]


def _judgeable(texts: Sequence[str]) -> list[str]:
    return [one for text in texts for one in sentences(text) if len(words(one)) >= _FEWEST]


def _line(text: str) -> str:
    """A text as it is learned: one line, straight quotation marks, all figures alike."""
    line = " ".join(text.replace("“", '"').replace("”", '"').replace("’", "'").replace("‘", "'").split())
    return "".join("0" if letter.isdigit() else letter for letter in line)


def _read(model: Letters, sentence: str, asked: set[str]) -> _Read:
    """A sentence, its first letter after a full stop."""
    line = ". " + _line(sentence)
    parts = line[2:].split(" ")
    if len(parts) < _FEWEST and unspaced(sentence):
        parts = list(line[2:].replace(" ", ""))
        line = ". " + "".join(parts)
    place, spoken, bits, letters, counted = 2, [], [], [], []
    glued = len(parts) > 1 and " " not in line[2:]
    for part in parts:
        begin = place if place == 2 or glued else place - 1
        end = place + len(part)
        spoken.append(part)
        bits.append(sum(model.bits(line, at) for at in range(begin, end)))
        letters.append(end - begin)
        counted.append(not asked.intersection(words(part)))
        place = end if glued else end + 1
    return _Read(spoken, bits, letters, counted)


def _compared(
    number: int, sentence: str, read: _Read, own: Sequence[tuple[int, float]], known: set[str], joint: str
) -> Unlike:
    """Beside the author's sentences nearest in length: a short one is surprising by chance more easily than a long one."""
    middle = bisect_left(own, (len(read.words), 0.0))
    start = max(0, min(middle - _USUAL // 2, len(own) - _USUAL))
    usual = [surprise for _, surprise in own[start : start + _USUAL]]
    mean = sum(usual) / len(usual)
    spread = max((sum((one - mean) ** 2 for one in usual) / len(usual)) ** 0.5, 0.05)
    return Unlike(
        answer=number,
        sentence=sentence.strip(),
        surprise=round(read.surprise, 3),
        z=round((read.surprise - mean) / spread, 2),
        share=sum(one < read.surprise for one in usual) / len(usual),
        reason=_reason(read, own, known, joint),
    )


def _reason(read: _Read, own: Sequence[tuple[int, float]], known: set[str], joint: str) -> str:
    """The three words in a row that surprise most, those of them that the author never wrote, and a length that is unusual."""
    size = 3 if joint else 6
    usual = sum(surprise for _, surprise in own) / len(own)
    excess = [
        bits - usual * letters if counts else 0.0
        for bits, letters, counts in zip(read.bits, read.letters, read.counted, strict=True)
    ]
    start = max(range(max(1, len(excess) - size + 1)), key=lambda at: sum(excess[at : at + size]))
    phrase = joint.join(read.words[start : start + size]).strip(" ,.;:")
    strange = [word for part in read.words[start : start + size] for word in words(part) if word not in known]
    reason = f"“{phrase}” is the least like you"
    if strange:
        reason += ": you have never written " + ", ".join(f"“{word}”" for word in dict.fromkeys(strange))
    lengths = [length for length, _ in own]
    if len(read.words) > lengths[int(0.95 * (len(lengths) - 1))]:
        unit = "words" if joint else "characters"
        reason += f"; {len(read.words)} {unit}, and half of your sentences have fewer than {lengths[len(lengths) // 2]}"
    return reason
