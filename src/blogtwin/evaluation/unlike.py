"""Which of the twin's sentences are least like the author, and why? In: answers, the author's posts. Out: an Unlike a sentence.

A model of the author's letters says how surprising each sentence is; and the same model, taught the base model's answers to
the other prompts as well, says how much less it surprises whoever knows those: an assistant's phrases are plain words, that
surprise nobody, but they are not the author's. The author's own sentences from posts that the model has not seen say what
is usual, for sentences as long. Letters instead of words, so that a rare word of a subject weighs little.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from math import log2, sqrt
from typing import NamedTuple

from blogtwin.evaluation.words import prose, sentences, unspaced, words
from blogtwin.records import Record

ORDER = 6  # letters looked at together; half as many where a letter is a word
LETTERS = 1_000_000  # of the author's, evenly from all posts: about 180,000 words, learned in a few seconds
_OUTSIDE = 5  # every fifth post is kept out of the model, to say what is usual
_FEWEST = 5  # words of a sentence that can be judged
_USUAL = 40  # sentences of the author's that one is compared with, of those nearest in length
_OWN = 800  # sentences of the author's at most, evenly from all that are judged


class Unlike(Record):
    """One sentence of an answer. surprise: bits a letter; likeness: how many of them the base model's answers explain.

    surprise_z, likeness_z: the same in standard deviations of the author's own sentences as long; z: the larger of the two, by
    which sentences are ordered. reason: in words.
    """

    answer: int
    sentence: str
    surprise: float
    surprise_z: float
    likeness: float
    likeness_z: float
    z: float
    reason: str


class Letters:
    """Which letter follows which: shorter and longer contexts, mixed by how many different letters each has been followed by.

    Interpolated as method C of Witten and Bell, 1991, IEEE Transactions on Information Theory 37(4).
    """

    def __init__(self, texts: Sequence[str], order: int, below: Letters | None = None) -> None:
        """order: how many letters are looked at together. below: a model that is right where these texts say nothing."""
        self._order, self._below = order, below
        self._known: dict[str, float] = {}  # most sequences of a text are in others too
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
        gram = line[max(0, at - self._order + 1) : at + 1]
        found = self._known.get(gram)
        if found is None:
            found = self._known[gram] = self._bits(gram)
        return found

    def _bits(self, gram: str) -> float:
        last = len(gram) - 1
        chance = 2 ** -self._below.bits(gram, last) if self._below else 1 / self._alphabet
        for length in range(last + 1):
            context = gram[last - length : last]
            kinds = self._kinds[length].get(context, 0)
            if not kinds:
                break
            seen = self._grams[length][context]
            chance = (self._grams[length + 1].get(context + gram[last], 0) + kinds * chance) / (seen + kinds)
        return -log2(chance)


class _Read(NamedTuple):
    """A sentence: each word with the space before it, in bits for the author, bits that the base model explains, and letters."""

    words: list[str]
    bits: list[float]
    explained: list[float]
    letters: list[int]
    joint: str

    def per_letter(self, bits: Sequence[float]) -> float:
        return sum(bits) / max(1, sum(self.letters))


class _Models(NamedTuple):
    author: Letters
    base: Letters

    def read(self, sentence: str, asked: set[str]) -> _Read:
        """A sentence after a full stop; words in `asked` weigh nothing."""
        joint = "" if unspaced(sentence) else " "
        parts = list(_line(sentence).replace(" ", "")) if not joint else _line(sentence).split(" ")
        line = ". " + joint.join(parts)
        read = _Read(parts, [], [], [], joint)
        place = 2
        for part in parts:
            begin, end = max(2, place - len(joint)), place + len(part)
            place = end + len(joint)
            counts = not asked.intersection(words(part))
            read.bits.append(sum(self.author.bits(line, at) for at in range(begin, end)) * counts)
            with_base = sum(self.base.bits(line, at) for at in range(begin, end)) * counts
            read.explained.append(read.bits[-1] - with_base)
            read.letters.append((end - begin) * counts)
        return read


class _Own(NamedTuple):
    """One of the author's own sentences: words, bits a letter, and how many the base model explains."""

    length: int
    surprise: float
    likeness: float


def unlike(
    prompts: Sequence[str], answers: Sequence[str], base: Sequence[str], posts: Sequence[str], most: int = 20
) -> list[Unlike]:
    """The sentences of `answers` that are least like the author of `posts`, at most `most`, the least like first.

    base: the base model's answers to the same prompts, or nothing. Words of its prompt do not count against an answer. Nothing
    for fewer than two posts, or too few sentences in them. Raises ValueError when the first three are not equally many.
    """
    bodies = [prose(post) for post in posts]
    held = bodies[_OUTSIDE - 1 :: _OUTSIDE] or bodies[-1:]
    learned = [body for number, body in enumerate(bodies) if number % _OUTSIDE != _OUTSIDE - 1]
    learned = learned if len(bodies) >= _OUTSIDE else bodies[:-1]
    if not learned:
        return []
    order = ORDER // 2 if unspaced("\n".join(body[:500] for body in bodies)) else ORDER
    author = Letters(learned[:: max(1, round(sum(map(len, learned)) / LETTERS))], order)
    # Halves of the prompts: what the base model says of an answer's own subject must not explain the answer.
    halves = [_Models(author, Letters([prose(one) for one in base[1 - half :: 2]], order, author)) for half in (0, 1)]
    own = [_usual(models, held) for models in halves]
    if len(own[0]) < _USUAL // 4:
        return []
    known = {word for body in bodies for word in words(body)}
    found: dict[str, Unlike] = {}
    for number, (prompt, answer, _) in enumerate(zip(prompts, answers, base or answers, strict=True)):
        asked = set(words(prompt))
        for sentence in _judgeable([prose(answer)]):
            read = halves[number % 2].read(sentence, asked)
            if any(read.letters):
                found.setdefault(sentence, _compared(number, sentence, read, own[number % 2], known))
    return sorted(found.values(), key=lambda one: (-one.z, one.answer, one.sentence))[:most]


def _judgeable(texts: Sequence[str]) -> list[str]:
    return [one for text in texts for one in sentences(text) if len(words(one)) >= _FEWEST]


def _usual(models: _Models, texts: Sequence[str]) -> list[_Own]:
    """The author's own sentences, by length."""
    judged = _judgeable(texts)
    read = [models.read(sentence, set()) for sentence in judged[:: 1 + len(judged) // _OWN]]
    return sorted(_Own(len(one.words), one.per_letter(one.bits), one.per_letter(one.explained)) for one in read)


def _line(text: str) -> str:
    """A text as it is learned: one line, straight quotation marks, all figures alike."""
    line = " ".join(text.replace("“", '"').replace("”", '"').replace("’", "'").replace("‘", "'").split())
    return "".join("0" if letter.isdigit() else letter for letter in line)


def _compared(number: int, sentence: str, read: _Read, own: Sequence[_Own], known: set[str]) -> Unlike:
    """Beside the author's sentences nearest in length: a short one is surprising by chance more easily than a long one."""
    middle = bisect_left(own, (len(read.words), 0.0, 0.0))
    start = max(0, min(middle - _USUAL // 2, len(own) - _USUAL))
    near = own[start : start + _USUAL]
    surprise, likeness = read.per_letter(read.bits), read.per_letter(read.explained)
    surprise_z = _z(surprise, [one.surprise for one in near])
    likeness_z = _z(likeness, [one.likeness for one in near])
    return Unlike(
        answer=number,
        sentence=sentence.strip(),
        surprise=round(surprise, 3),
        surprise_z=round(surprise_z, 2),
        likeness=round(likeness, 3),
        likeness_z=round(likeness_z, 2),
        z=round(max(surprise_z, likeness_z), 2),
        reason=_reason(read, own, known, likeness_z > surprise_z),
    )


def _z(value: float, usual: Sequence[float]) -> float:
    mean = sum(usual) / len(usual)
    spread = sqrt(sum((one - mean) ** 2 for one in usual) / len(usual))
    return (value - mean) / max(spread, 0.05)


def _reason(read: _Read, own: Sequence[_Own], known: set[str], like_base: bool) -> str:
    """The few words in a row that weigh most, those of them that the author never wrote, and a length that is unusual."""
    size = 3 if read.joint else 6
    usual = sum(one.surprise for one in own) / len(own)
    surprising = [bits - usual * letters for bits, letters in zip(read.bits, read.letters, strict=True)]
    weights = read.explained if like_base else surprising
    start = max(range(max(1, len(weights) - size + 1)), key=lambda at: sum(weights[at : at + size]))
    phrase = read.joint.join(read.words[start : start + size]).strip(" ,.;:")
    reason = f"“{phrase}” is how the base model writes" if like_base else f"“{phrase}” is the least like you"
    strange = [word for part in read.words[start : start + size] for word in words(part) if word not in known]
    if strange:
        reason += ": you have never written " + ", ".join(f"“{word}”" for word in dict.fromkeys(strange))
    lengths = [one.length for one in own]
    if len(read.words) > lengths[int(0.95 * (len(lengths) - 1))]:
        unit = "words" if read.joint else "characters"
        reason += f"; {len(read.words)} {unit}, and half of your sentences have fewer than {lengths[len(lengths) // 2]}"
    return reason
