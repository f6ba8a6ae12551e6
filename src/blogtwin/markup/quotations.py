"""Block quotations in Markdown: where they stand, and how long they are.

In: Markdown. Out: Quotations. A box that the author made with the same sign (`> [!NOTE]`, `> **Update:** …`) is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from blogtwin.words import count_words

# A quoted line or two are part of how an author writes; what is longer is somebody else's writing.
LONG_WORDS = 40
_BEFORE_A_MARK = " \t-*+0123456789.)"  # indentation, and the marker of a list item
_MARKS = re.compile(r"^[ \t]*(?:>[ \t]?)*", re.MULTILINE)
_BOX = re.compile(
    r"[> \t]*(?:\[!|[*_]{0,3}(?:note|nb|n\.b|p\.?s|tl;?dr|update|updated|edit|edited|warning|caution|tip|hint|info|important|"
    r"caveat|aside|disclaimer|spoiler|correction|addendum|bonus|exercise|remark)\b(?=[^\n]{0,40}:|[ \t]*[*_]{0,3}[ \t]*$))",
    re.IGNORECASE | re.MULTILINE,
)
_EMPHASIS = re.compile(r"[*_`]+|^[#>\-+ \t]+")


@dataclass(frozen=True)
class Quotation:
    """start, end: its place in the text, in characters. words: all it has, code included."""

    start: int
    end: int
    words: int


def quotations(text: str) -> list[Quotation]:
    """The outermost block quotations in order; what only a blank line parts is one."""
    if ">" not in text or not any(
        line.lstrip(_BEFORE_A_MARK).startswith(">") for line in text.split("\n") if ">" in line
    ):
        return []
    found: list[tuple[int, int]] = []
    for start, end in _places(text):
        if _BOX.match(text, start):
            continue
        if found and text[found[-1][1] : start].isspace() and _column(text, found[-1][0]) == _column(text, start):
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return [Quotation(start, end, count_words(text[start:end])) for start, end in found]


def long_quotations(text: str) -> list[Quotation]:
    """Those that are more than a line or two."""
    return [one for one in quotations(text) if one.words > LONG_WORDS]


def unmarked(quotation: str) -> str:
    """What is quoted, without the signs at the beginning of its lines."""
    return _MARKS.sub("", quotation).strip()


def beginning(quotation: str) -> str:
    """A quotation of one line that stands for a long one: its first words and […]."""
    first = _EMPHASIS.sub("", unmarked(quotation[:1000]).split("\n\n", 1)[0])
    kept = " ".join(first.split()[:12])[:100]
    if count_words(kept) > 24:  # a script without spaces
        kept = kept[:24]
    return f"> {kept.rstrip(' .,;:')} […]" if kept else "> […]"


def _column(text: str, place: int) -> int:
    return place - text.rfind("\n", 0, place)


def _places(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each outermost block quotation; the parser counts bytes."""
    import pyromark

    data = text.encode()
    at = chars = depth = 0
    event: Any  # one of thirty kinds of dictionary, or a word
    for event, place in pyromark.events_with_range(text, options=pyromark.Options.ENABLE_TABLES):
        if type(event) is str:
            continue
        if "Start" in event and "BlockQuote" in event["Start"]:
            depth += 1
            if depth > 1:
                continue
            start = chars + len(data[at : place["start"]].decode())
            quoted = data[place["start"] : place["end"]].decode()
            at, chars = place["end"], start + len(quoted)
            yield start, start + len(quoted.rstrip())
        elif "End" in event and "BlockQuote" in event["End"]:
            depth -= 1
