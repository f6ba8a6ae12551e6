"""Blocks of Markdown → bigger blocks of Markdown: quotations, lists, footnotes.

In: what a container of HTML holds, as (kind, Markdown) in order. Out: the Markdown of the container.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from blogtwin.markup.html_table import Cell

Blocks = list[tuple[str, str]]
_UNNAMED = re.compile(r"\[\^inline-(\d{1,10})\]")
_NUMBER = re.compile(r"\[\^(\d{1,9})\]")


@dataclass
class Box:
    """What holds blocks while they are collected: the page, a quotation, an item, a cell."""

    kind: str
    blocks: Blocks = field(default_factory=list)
    items: list[Blocks] = field(default_factory=list)  # of a list
    rows: list[list[Cell]] = field(default_factory=list)  # of a table
    pictures: int = 0  # in a figure


def joined(blocks: Blocks) -> str:
    """Blocks with a blank line between them, but none before a definition."""
    out: list[str] = []
    for kind, text in blocks:
        out += ["\n" if kind == "dd" else "\n\n", text]
    return "".join(out[1:])


def quoted(blocks: Blocks) -> str:
    """A block quotation."""
    return "\n".join(f"> {line}" if line else ">" for line in joined(blocks).split("\n"))


def unnamed_note(said: str) -> str:
    """A label for a footnote that has none, till `numbered` knows its place."""
    return f"inline-{zlib.crc32(said.encode('utf-8', 'surrogatepass'))}"


def numbered(text: str) -> str:
    """`text` with its unnamed footnotes counted in the order of the text, past the numbers that are taken."""
    taken = set(_NUMBER.findall(text))
    free = (str(number) for number in itertools.count(1) if str(number) not in taken)
    known: dict[str, str] = {}

    def label(found: re.Match[str]) -> str:
        if found[1] not in known:
            known[found[1]] = next(free)
        return f"[^{known[found[1]]}]"

    return _UNNAMED.sub(label, text) if "[^inline-" in text else text


def footnote(label: str, blocks: Blocks) -> str:
    """The text of a footnote."""
    return f"[^{label}]: " + _indented(joined(blocks), 4)


def listed(items: Sequence[Blocks], ordered: bool, start: int, other: bool) -> str:
    """A list, without blank lines when its items are single paragraphs; `other` marks keep it apart from the list before it."""
    tight = all(sum(kind not in ("ul", "ol") for kind, _ in item) <= 1 for item in items)
    out = []
    for number, item in enumerate(items, start):
        marker = f"{number}{')' if other else '.'} " if ordered else "* " if other else "- "
        text = "\n".join(block for _, block in item) if tight else joined(item)
        out.append(marker + _indented(text, len(marker)))
    return ("\n" if tight else "\n\n").join(out)


def _indented(text: str, width: int) -> str:
    """Every line but the first behind blanks, save the empty ones."""
    return re.sub(r"\n(?=[^\n])", "\n" + " " * width, text)
