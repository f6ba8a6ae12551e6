"""Readers with a taste of their own who tell nobody: they choose, edit and rate by that alone.

Short likes short sentences, Plain is tired of a small twin's pet phrases; neither can bear exclamation marks.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n\s*\n")
_JOINT = re.compile(r"(?:,|;|:| –| —)?\s+(?=(?:and|but|so|which|because|where|while|though)\s)|[,;:]\s+", re.IGNORECASE)
_BEFORE, _AFTER = 6, 4  # words at least on either side of a joint at which a sentence is cut
_PHRASES = re.compile(r"\b(?:(I)['’]m|(I)['’]ve|(I)['’]ll|(it)['’]s|a lot of|a lot|(?:really|very) )", re.IGNORECASE)
_INSTEAD = {"m": "am", "e": "have", "l": "will", "s": "is"}  # by the last letter of what is drawn together


def sentences(text: str) -> list[str]:
    return [one for one in _SENTENCE.split(text) if one.split()]


class Reader(ABC):
    """Chooses and rates by a number, the lower the better."""

    limit: float  # of what the reader still likes

    @abstractmethod
    def taste(self, text: str) -> float: ...

    @abstractmethod
    def edited(self, text: str) -> str:
        """The text as the reader would have it, as far as that can be done without writing it anew."""

    def satisfied(self, text: str) -> bool:
        """Whether the reader likes a text; a single sentence is not enough."""
        return len(sentences(text)) >= 2 and self.taste(text) <= self.limit

    def choice(self, texts: Sequence[str]) -> int:
        """Which draft the reader takes: the first that satisfies, else the one nearest to their taste.

        A reader who took the shortest sentences of all, however short, would teach a stammer.
        """
        satisfying = (place for place, text in enumerate(texts) if self.satisfied(text))
        return next(satisfying, min(range(len(texts)), key=lambda place: self.taste(texts[place])))


@dataclass(frozen=True)
class Short(Reader):
    """limit: words a sentence, on average."""

    limit: float

    def taste(self, text: str) -> float:
        """Words a sentence, and ten more for each exclamation mark."""
        found = sentences(text)
        if not found:
            return 100.0
        return len(text.split()) / len(found) + 10 * text.count("!")

    def edited(self, text: str) -> str:
        """Sentences that are too long are cut at their joints. Every word stays: to drop each "and" would be another wish."""
        paragraphs = text.replace("!", ".").split("\n\n")
        return "\n\n".join(" ".join(self._cut(one) for one in sentences(part)) for part in paragraphs)

    def _cut(self, sentence: str) -> str:
        ended = [one.strip().rstrip(",;:") for one in self._pieces(sentence)]
        return " ".join(
            f"{one[:1].upper()}{one[1:]}" + ("" if one.endswith((".", "?")) else ".") for one in ended if one
        )

    def _pieces(self, sentence: str) -> Iterator[str]:
        """Cut at the first joint that will do, as long as what is left is too long."""
        start = 0
        for joint in _JOINT.finditer(sentence):
            before, left = len(sentence[start : joint.start()].split()), len(sentence[start:].split())
            if left > self.limit and before >= _BEFORE and len(sentence[joint.end() :].split()) >= _AFTER:
                yield sentence[start : joint.start()]
                start = joint.end()
        yield sentence[start:]


@dataclass(frozen=True)
class Plain(Reader):
    """limit: of "I'm", "I've", "I'll", "it's", "a lot", "really", "very" and exclamation marks, in a hundred words."""

    limit: float

    def taste(self, text: str) -> float:
        return 100 * (len(_PHRASES.findall(text)) + text.count("!")) / max(1, len(text.split()))

    def edited(self, text: str) -> str:
        """One phrase after the other is said in another way, until there are few enough."""
        text = text.replace("!", ".")
        while self.taste(text) > self.limit:
            text = _PHRASES.sub(_said_otherwise, text, count=1)
        return text


def _said_otherwise(found: re.Match[str]) -> str:
    phrase = found[0]
    if found.lastindex:
        return f"{found[found.lastindex]} {_INSTEAD[phrase[-1]]}"
    return {"a lot of": "many", "a lot": "often"}.get(phrase.lower(), "")
