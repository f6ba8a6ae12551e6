"""Footnotes follow the passage that refers to them.

In: a post's Markdown. Out: its blocks without the notes at its foot, and the notes, to be put under each part that is cut
from it.
Otherwise the last part of many a post would be a list of notes to words that nobody sees.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from blogtwin.dataset.sections import blocks

_DEFINITION = re.compile(r"^\[\^([^\]\s]+)\]:[ \t]*", re.MULTILINE)
_REFERENCE = re.compile(r"[ \t]?\[\^([^\]\s]+)\](?!:)")


@dataclass(frozen=True)
class Footnotes:
    """by_label: the Markdown of each note, its `[^label]:` included."""

    by_label: Mapping[str, str]

    def under(self, text: str) -> str:
        """`text` with the notes it refers to; a reference to no note is taken out."""
        if "[^" not in text:
            return text
        text = _REFERENCE.sub(lambda match: match.group() if match.group(1) in self.by_label else "", text)
        labels = dict.fromkeys(match.group(1) for match in _REFERENCE.finditer(text))
        return "\n\n".join([text, *(self.by_label[label] for label in labels)])

    def left_out_of(self, text: str) -> str:
        """`text` without its references."""
        return _REFERENCE.sub("", text) if "[^" in text else text


def taken_from(text: str) -> tuple[list[str], Footnotes]:
    """The blocks of the text without its notes, and the notes."""
    parts = blocks(text)
    if "[^" not in text or not _DEFINITION.search(text):
        return parts, Footnotes({})
    body: list[str] = []
    notes: dict[str, str] = {}
    last: str | None = None
    for block in parts:
        if _DEFINITION.match(block):
            for note in re.split(r"\n(?=\[\^[^\]\s]+\]:)", block):
                match = _DEFINITION.match(note)
                if match:
                    last = match.group(1)
                    notes[last] = note
        elif last is not None and block.startswith(("    ", "\t")):
            notes[last] += f"\n\n{block}"  # a note's second paragraph is indented
        else:
            last = None
            body.append(block)
    return body, Footnotes(notes)
