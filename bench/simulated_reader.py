"""A reader who likes short sentences and no exclamation marks, and tells nobody: chooses, edits and rates by that alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

LONGEST = 11.0  # words a sentence, on average, that the reader still likes
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_JOINT = re.compile(r"(?:,|;|:| –| —)?\s+(?=(?:and|but|so|which|because|where|while|though)\s)|[,;:]\s+", re.IGNORECASE)


def sentences(text: str) -> list[str]:
    return [one for one in _SENTENCE.split(text) if one.split()]


def taste(text: str) -> float:
    """Words a sentence, and ten more for each exclamation mark; lower is liked better."""
    found = sentences(text)
    if not found:
        return 100.0
    return len(text.split()) / len(found) + 10 * text.count("!")


def satisfied(text: str) -> bool:
    """Whether the reader likes a text: at least two sentences, short ones, and nobody shouts."""
    return len(sentences(text)) >= 2 and taste(text) <= LONGEST


def choice(texts: Sequence[str]) -> int:
    """Which draft the reader takes: the first that satisfies, else the one nearest to their taste.

    A reader who took the shortest sentences of all, however short, would teach a stammer.
    """
    satisfying = (place for place, text in enumerate(texts) if satisfied(text))
    return next(satisfying, min(range(len(texts)), key=lambda place: taste(texts[place])))


def edited(text: str) -> str:
    """The text as the reader would have it: long sentences are cut at their joints, and exclamation marks are full stops.

    Every word stays: a reader who dropped each "and" would wish for fewer function words, too, which is a different wish.
    """
    return "\n\n".join(" ".join(map(_cut, sentences(part))) for part in text.replace("!", ".").split("\n\n"))


def _cut(sentence: str) -> str:
    """One sentence in pieces of about ten words."""
    pieces, start = [], 0
    for joint in _JOINT.finditer(sentence):
        if len(sentence[start : joint.start()].split()) >= 6 and len(sentence[joint.end() :].split()) >= 4:
            pieces.append(sentence[start : joint.start()])
            start = joint.end()
    pieces.append(sentence[start:])
    ended = [one.strip().rstrip(",;:") for one in pieces]
    return " ".join(f"{one[:1].upper()}{one[1:]}" + ("" if one.endswith((".", "?")) else ".") for one in ended if one)
