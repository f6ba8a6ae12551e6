"""A reader who likes short sentences and no exclamation marks, and tells nobody: chooses, edits and rates by that alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n\s*\n")
_JOINT = re.compile(r"(?:,|;|:| –| —)?\s+(?=(?:and|but|so|which|because|where|while|though)\s)|[,;:]\s+", re.IGNORECASE)
_BEFORE, _AFTER = 6, 4  # words at least on either side of a joint at which a sentence is cut


def sentences(text: str) -> list[str]:
    return [one for one in _SENTENCE.split(text) if one.split()]


@dataclass(frozen=True)
class Reader:
    """longest: words a sentence, on average, that the reader still likes."""

    longest: float

    def taste(self, text: str) -> float:
        """Words a sentence, and ten more for each exclamation mark; lower is liked better."""
        found = sentences(text)
        if not found:
            return 100.0
        return len(text.split()) / len(found) + 10 * text.count("!")

    def satisfied(self, text: str) -> bool:
        """Whether the reader likes a text: at least two sentences, short ones, and nobody shouts."""
        return len(sentences(text)) >= 2 and self.taste(text) <= self.longest

    def choice(self, texts: Sequence[str]) -> int:
        """Which draft the reader takes: the first that satisfies, else the one nearest to their taste.

        A reader who took the shortest sentences of all, however short, would teach a stammer.
        """
        satisfying = (place for place, text in enumerate(texts) if self.satisfied(text))
        return next(satisfying, min(range(len(texts)), key=lambda place: self.taste(texts[place])))

    def edited(self, text: str) -> str:
        """The text as the reader would have it: sentences that are too long are cut at their joints, and nobody shouts.

        Every word stays: a reader who dropped each "and" would wish for fewer function words, too, which is another wish.
        """
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
            if left > self.longest and before >= _BEFORE and len(sentence[joint.end() :].split()) >= _AFTER:
                yield sentence[start : joint.start()]
                start = joint.end()
        yield sentence[start:]
