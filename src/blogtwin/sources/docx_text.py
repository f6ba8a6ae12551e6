"""The words of one Word paragraph, as Markdown: emphasis, links, footnotes, and which list it belongs to.

In: python-docx paragraphs of one document. Out: strings. Runs are walked by hand, because python-docx passes over those
inside tracked insertions, smart tags and fields, and their words would be lost without a sound.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from blogtwin.markup.html_special import shifted

_THROUGH = ("ins", "smartTag", "sdt", "sdtContent", "fldSimple", "customXml", "moveTo")
_EDGES = re.compile(r"^(\s*)(.*?)(\s*)$", re.DOTALL)

Piece = tuple[str, str, str]  # words, emphasis ("", "*", "**", "***"), link target ("" for none)


class Footnotes:
    """The footnotes of a document, numbered in the order of their references."""

    def __init__(self, document: Any) -> None:
        self._texts: dict[str, str] = {}
        self._order: list[str] = []
        for relation in document.part.rels.values():
            if not relation.is_external and relation.reltype.endswith(("/footnotes", "/endnotes")):
                self._take(relation.target_part.blob, relation.reltype.rsplit("/", 1)[-1][:-1])

    def _take(self, blob: bytes, kind: str) -> None:
        from docx.oxml.ns import qn
        from docx.oxml.parser import parse_xml

        for note in parse_xml(blob).iterchildren(qn(f"w:{kind}")):
            words = [
                "".join(text.text or "" for text in paragraph.iter(qn("w:t"))) for paragraph in note.iter(qn("w:p"))
            ]
            self._texts[f"{kind}{note.get(qn('w:id'))}"] = " ".join(word for word in words if word).strip()

    def reference(self, kind: str, number: str) -> str:
        """`[^1]` for the note of this kind and number, or "" when it has no text."""
        name = kind + number
        if not self._texts.get(name):
            return ""
        if name not in self._order:
            self._order.append(name)
        return f"[^{self._order.index(name) + 1}]"

    def definitions(self) -> list[str]:
        """`[^1]: …` for every note that was referred to."""
        return [f"[^{place}]: {self._texts[name]}" for place, name in enumerate(self._order, start=1)]


class Numbering:
    """Which list formats a document has."""

    def __init__(self, document: Any) -> None:
        from docx.oxml.ns import qn

        self._ordered: dict[tuple[str, int], bool] = {}
        try:
            root = document.part.numbering_part.element
        except (KeyError, NotImplementedError):
            return
        abstract = {node.get(qn("w:abstractNumId")): node for node in root.iterchildren(qn("w:abstractNum"))}
        for number in root.iterchildren(qn("w:num")):
            reference = number.find(qn("w:abstractNumId"))
            chosen = abstract.get(reference.get(qn("w:val"))) if reference is not None else None
            for level in chosen.iterchildren(qn("w:lvl")) if chosen is not None else ():
                form = level.find(qn("w:numFmt"))
                place = (number.get(qn("w:numId")), int(level.get(qn("w:ilvl"))))
                self._ordered[place] = form is not None and form.get(qn("w:val")) not in ("bullet", "none")

    def of(self, paragraph: Any) -> tuple[int, bool] | None:
        """Depth (0 is the outermost) and whether it is numbered; None when `paragraph` itself is in no list."""
        properties = paragraph._p.pPr
        numbers = properties.numPr if properties is not None else None
        if numbers is None or numbers.numId is None or numbers.numId.val == 0:
            return None
        depth = numbers.ilvl.val if numbers.ilvl is not None else 0
        return depth, self._ordered.get((str(numbers.numId.val), depth), False)


def paragraph_text(paragraph: Any, footnotes: Footnotes, *, plain: bool = False) -> str:
    """The paragraph's words; plain: without emphasis and links."""
    pieces: list[Piece] = []
    for words, emphasis, target in _pieces(paragraph._p, paragraph, footnotes, ""):
        if pieces and pieces[-1][1:] == (emphasis, target):
            pieces[-1] = (pieces[-1][0] + words, emphasis, target)
        elif words:
            pieces.append((words, emphasis, target))
    return "".join(words if plain else _marked(words, emphasis, target) for words, emphasis, target in pieces)


def _pieces(parent: Any, paragraph: Any, footnotes: Footnotes, target: str) -> Iterator[Piece]:
    from docx.oxml.ns import qn

    for child in parent.iterchildren():
        if child.tag == qn("w:r"):
            yield from _run(child, paragraph, footnotes, target)
        elif child.tag == qn("w:hyperlink"):
            yield from _pieces(child, paragraph, footnotes, _target(child, paragraph) or target)
        elif child.tag in [qn(f"w:{name}") for name in _THROUGH]:
            yield from _pieces(child, paragraph, footnotes, target)


def _run(element: Any, paragraph: Any, footnotes: Footnotes, target: str) -> Iterator[Piece]:
    from docx.oxml.ns import qn
    from docx.text.run import Run

    run = Run(element, paragraph)
    style = run.style.name if run.style is not None else ""
    bold = run.bold or (run.bold is None and style in ("Strong", "Intense Emphasis"))
    italic = run.italic or (run.italic is None and style in ("Emphasis", "Intense Emphasis", "Book Title"))
    font = run.font
    words = run.text
    if font.superscript or font.subscript:
        words = shifted(words.strip(), bool(font.superscript)) or words
    struck = "~~" if font.strike or font.double_strike else ""
    yield words, struck + "*" * (bool(italic) + 2 * bool(bold)), target
    for kind in ("footnote", "endnote"):
        for reference in element.iterchildren(qn(f"w:{kind}Reference")):
            yield footnotes.reference(kind, reference.get(qn("w:id")) or ""), "", ""


def _target(link: Any, paragraph: Any) -> str:
    from docx.oxml.ns import qn

    relation = paragraph.part.rels.get(link.get(qn("r:id")))
    return str(relation.target_ref) if relation is not None and relation.is_external else ""


def _marked(words: str, emphasis: str, target: str) -> str:
    """Words with their marks; white space stays outside, where Markdown wants it."""
    match = _EDGES.match(words)
    before, inside, after = match.groups() if match else ("", words, "")
    if not inside:
        return words.replace("\n", "  \n")
    inside = inside.replace("\n", "  \n")
    marked = f"{emphasis}{inside}{emphasis[::-1]}"
    return before.replace("\n", "  \n") + (f"[{marked}]({target})" if target else marked) + after.replace("\n", "  \n")
