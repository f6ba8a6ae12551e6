"""What of a text is prose: neither code nor formulas nor addresses.

In: Markdown. Out: how many of its words a voice can be heard in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from blogtwin.markup.markdown import grammar
from blogtwin.words import count_words

if TYPE_CHECKING:
    import pyromark

_ADDRESS = re.compile(r"https?://\S+")
_TEX = re.compile(r"\\\\?\[.{1,2000}?\\\\?\]|\\\\?\(.{1,2000}?\\\\?\)", re.DOTALL)
_BLOCKS = frozenset({"Paragraph", "Heading", "Item", "TableCell", "TableHead", "CodeBlock", "BlockQuote"})


def prose_words(text: str) -> int:
    """How many words `text` has outside code, formulas and addresses."""
    return sum(map(count_words, _passages(text)))


def has_prose(text: str, words: int) -> bool:
    """Whether `text` has at least so many of them; looks no further than it must."""
    return any(count >= words for count in accumulate(map(count_words, _passages(text))))


@cache
def _options() -> pyromark.Options:
    """As the cleaner reads, and what is struck through without its marks."""
    from pyromark import Options

    return grammar() | Options.ENABLE_STRIKETHROUGH


def _passages(text: str) -> Iterator[str]:
    """The prose of each paragraph, heading, item and cell."""
    import pyromark

    if "\\(" in text or "\\[" in text:
        text = _TEX.sub(" ", text)
    passage: list[str] = []
    in_code = False
    event: Any  # one of thirty kinds of dictionary, or a word
    for event in pyromark.events(text, options=_options()):
        if type(event) is str:  # a break
            passage.append("\n")
            continue
        ((kind, what),) = event.items()
        if kind == "Text":
            if not in_code:
                passage.append(what)
        elif kind in ("Start", "End"):
            name = what if type(what) is str else next(iter(what))
            if name in _BLOCKS:
                in_code = kind == "Start" and name == "CodeBlock"
                if passage:
                    yield _ADDRESS.sub(" ", "".join(passage))
                    passage = []
        else:  # code, a formula, a reference
            passage.append(" ")
    if passage:
        yield _ADDRESS.sub(" ", "".join(passage))
