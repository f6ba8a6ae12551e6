"""What stands between an opening and its closing. In: text, two patterns. Out: the text with each pair replaced.

A pattern like `<pre>.*?</pre>` looks through the whole rest of the text for every opening that is never closed, which
takes minutes for a page of them. This looks once.
"""

from __future__ import annotations

import re
from collections.abc import Callable


def replaced(
    text: str, opening: re.Pattern[str], closing: re.Pattern[str], change: Callable[[re.Match[str], str], str]
) -> str:
    """`text` where every opening, up to the next closing, became `change(opening, what is inside)`; the unclosed stay."""
    out: list[str] = []
    start = 0
    while (begin := opening.search(text, start)) and (end := closing.search(text, begin.end())):
        out += [text[start : begin.start()], change(begin, text[begin.end() : end.start()])]
        start = end.end()
    return "".join([*out, text[start:]])


def without(text: str, opening: re.Pattern[str], closing: re.Pattern[str]) -> str:
    """`text` without the pairs and what is inside them."""
    return replaced(text, opening, closing, lambda begin, inside: "")


def element(name: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """The opening and closing tag of an HTML element."""
    return re.compile(rf"<{name}\b[^<>]{{0,2000}}>", re.IGNORECASE), re.compile(rf"</{name}\s*>", re.IGNORECASE)
