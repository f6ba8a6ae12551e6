"""Footnotes that an author raised by hand → Markdown's own.

In: Markdown with `word<sup><a href="#fn1">1</a></sup>` in a sentence and `<sup id="fn1">1. A note.</sup>` on a line below. Out:
the same with `word[^1]` and `[^1]: A note.`; without its sign a note's number would be glued to the sentence.
"""

from __future__ import annotations

import re

from blogtwin.cleaning.edits import Cuts, Edits
from blogtwin.markup.markdown import parse

_REFERENCE = re.compile(
    r"<sup\b[^<>]{0,200}>\s{0,9}\[?<a\b[^<>]{0,300}?\bhref=[\"']?#([\w:.-]{1,80})[\"']?[^<>]{0,300}>\[?(\w{1,4})\]?</a>\]?\s{0,9}</sup>",
    re.IGNORECASE,
)
_NOTE = re.compile(
    r"(?:(?<=\n)|\A)<sup\b[^<>]{0,200}?\bid=[\"']?([\w:.-]{1,80})[\"']?[^<>]{0,200}>"
    r"\s{0,9}\[?(\w{1,4})\]?[.:)]?\s([^\n]*)</sup>[ \t]*(?=\n|\Z)",
    re.IGNORECASE,
)


def with_notes(text: str, cuts: Cuts) -> str:
    """`text` with its raised notes as footnotes; a reference without a note stays, and so does a note without a reference."""
    references = list(_REFERENCE.finditer(text))
    notes = {note[1]: note for note in _NOTE.finditer(text)} if references else {}
    pairs = [(one, notes[one[1]]) for one in references if one[1] in notes and notes[one[1]][2] == one[2]]
    if not pairs:
        return text
    edits, verbatim = Edits(text, cuts), parse(text).verbatim()
    for reference, note in pairs:
        if not verbatim.hold(reference.start()) and not verbatim.hold(note.start()):
            edits.put(reference.start(), reference.end(), f"[^{reference[2]}]", "HTML")
            edits.put(note.start(), note.end(), f"\n[^{note[2]}]: {note[3].strip()}\n", "HTML")
    return edits.text_now()
