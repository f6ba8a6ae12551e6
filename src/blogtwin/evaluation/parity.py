"""The template proof's arithmetic: are two prompts the same, token for token, and where do they part?

In: texts and token numbers. Out: a Difference in words, or None. Nothing here asks a runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

_AROUND = 4  # tokens shown before and after the first difference


@dataclass(frozen=True)
class Difference:
    """position: the first token that differs, counted from 0. expected, found: that token with its neighbours, marked."""

    position: int
    expected: str
    found: str


def first_difference(expected: Sequence[int], found: Sequence[int], word: Callable[[int], str]) -> Difference | None:
    """Where two sequences of token numbers part, or None when they are equal. word: a token's text."""
    for position, (one, other) in enumerate(zip_longest(expected, found)):
        if one != other:
            return Difference(position, _shown(expected, position, word), _shown(found, position, word))
    return None


def _shown(tokens: Sequence[int], position: int, word: Callable[[int], str]) -> str:
    """The tokens around a position; the one at the position stands between ▸ and ◂."""
    pieces = [word(token) for token in tokens[max(0, position - _AROUND) : position]]
    pieces.append(f"▸{word(tokens[position]) if position < len(tokens) else '(end)'}◂")
    pieces += [word(token) for token in tokens[position + 1 : position + 1 + _AROUND]]
    return "".join(pieces).replace("\n", "\\n").replace("\r", "\\r")
