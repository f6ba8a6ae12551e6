"""A post in Markdown → a Word file. In: Markdown. Out: the bytes of a .docx.

Word's own styles are used (Heading 1, List Bullet, Quote, …), so that a reader's template can dress them anew.
"""

from __future__ import annotations

import io
import re
from typing import Any
from xml.etree.ElementTree import Element

from blogtwin.writing.page import heading, parse

_MONOSPACE = "Courier New"
_LIST_LEVELS = 3  # Word's styles end with List Bullet 3
_BLOCKS = ("p", "ul", "ol", "blockquote", "pre", "table", "hr", "div", "h1", "h2", "h3", "h4", "h5", "h6")


def docx(text: str, title: str = "") -> bytes:
    """The post as a .docx. title: for the file's properties, where the post has no heading of its own."""
    import docx as python_docx

    document = python_docx.Document()
    root = parse(text)
    document.core_properties.title = (heading(root) or title)[:255]
    document.core_properties.author = ""
    document.core_properties.comments = ""
    _Writer(document).blocks(root)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


class _Writer:
    """Writes elements to the end of `document`."""

    def __init__(self, document: Any) -> None:
        self.document = document

    def blocks(self, parent: Element, style: str | None = None, depth: int = 0) -> None:
        """The children of `parent`, each as Word has it. style: of paragraphs. depth: of lists around them."""
        for child in parent:
            if re.fullmatch("h[1-6]", child.tag):
                self.runs(self.document.add_heading(level=int(child.tag[1])), child)
            elif child.tag in ("ul", "ol"):
                self.list(child, depth + 1)
            elif child.tag == "blockquote":
                self.blocks(child, "Quote", depth)
            elif child.tag == "div":
                self.blocks(child, style, depth)
            elif child.tag == "pre":
                self.code(child)
            elif child.tag == "table":
                self.table(child)
            elif child.tag == "hr":
                self.document.add_paragraph("* * *").alignment = 1  # centred
            elif child.tag == "p":
                self.runs(self.document.add_paragraph(style=style), child)

    def list(self, element: Element, depth: int) -> None:
        """A list; a numbered one begins at its own number, not where the last one ended."""
        level = min(depth, _LIST_LEVELS)
        suffix = f" {level}" if level > 1 else ""
        style = f"List {'Number' if element.tag == 'ol' else 'Bullet'}{suffix}"
        first = element.get("start", "1")
        number = self._numbering(style, int(first) if first.isdigit() else 1) if element.tag == "ol" else None
        for item in element:
            paragraph = self.document.add_paragraph(style=style)
            if number is not None:
                paragraph._p.get_or_add_pPr().get_or_add_numPr().get_or_add_numId().val = number
            lead = next((child for child in item if child.tag in _BLOCKS), None)
            if lead is not None and lead.tag == "p" and not (item.text or "").strip():
                self.runs(paragraph, lead)
                rest = [child for child in item if child is not lead]
            else:
                self.runs(paragraph, item)
                rest = list(item)
            self.blocks(_group(rest), f"List Continue{suffix}", depth)

    def code(self, element: Element) -> None:
        """A code block: one paragraph, its lines kept."""
        paragraph = self.document.add_paragraph(style="No Spacing")
        run = paragraph.add_run("".join(element.itertext()).rstrip("\n"))  # python-docx makes line breaks of \n
        run.font.name = _MONOSPACE

    def table(self, element: Element) -> None:
        """A table with a bold first row."""
        rows = [[cell for cell in row if cell.tag in ("th", "td")] for row in element.iter("tr")]
        width = max((len(row) for row in rows), default=0)
        if not width:
            return
        table = self.document.add_table(rows=len(rows), cols=width, style="Table Grid")
        for cells, row in zip(table.rows, rows, strict=True):
            for cell, source in zip(cells.cells, row, strict=False):
                self.runs(cell.paragraphs[0], source, bold=source.tag == "th")

    def runs(self, paragraph: Any, element: Element, **marks: bool) -> None:
        """The text of `element`, block elements within it left out, as runs with its marks."""
        self._run(paragraph, element.text, marks)
        for child in element:
            if child.tag == "br":
                paragraph.add_run().add_break()
            elif child.tag == "a" and "footnote-backref" in child.get("class", ""):
                pass  # an arrow back to the text, which leads nowhere on paper
            elif child.tag == "a" and not child.get("href", "#").startswith("#"):
                self.runs(self._link(paragraph, child.get("href", "")), child, **marks, link=True)
            elif child.tag not in _BLOCKS:
                mark = {"strong": "bold", "em": "italic", "code": "code", "sup": "superscript"}.get(child.tag)
                self.runs(paragraph, child, **{**marks, **({mark: True} if mark else {})})
            if child.tag not in _BLOCKS:
                self._run(paragraph, child.tail, marks)

    def _run(self, paragraph: Any, text: str | None, marks: dict[str, bool]) -> None:
        # Line ends in Markdown's source are spaces; only a <br> is a line end on the page.
        text = re.sub(r"\s+", " ", text or "")
        if not text or (text == " " and not paragraph.runs):
            return
        run = paragraph.add_run(text)
        run.bold = marks.get("bold") or None
        run.italic = marks.get("italic") or None
        run.font.superscript = marks.get("superscript") or None
        if marks.get("code"):
            run.font.name = _MONOSPACE
        if marks.get("link"):
            run.font.underline = True

    def _link(self, paragraph: Any, address: str) -> Any:
        """A hyperlink at the end of `paragraph`, to which runs can be added as to a paragraph."""
        from docx.opc.constants import RELATIONSHIP_TYPE
        from docx.oxml import OxmlElement
        from docx.oxml.ns import qn
        from docx.text.run import Run

        element = OxmlElement("w:hyperlink")
        element.set(qn("r:id"), paragraph.part.relate_to(address, RELATIONSHIP_TYPE.HYPERLINK, is_external=True))
        (paragraph._p if hasattr(paragraph, "_p") else paragraph.element).append(element)

        class Link:
            """What `runs` asks of a paragraph."""

            part = paragraph.part
            runs = paragraph.runs

            def __init__(self) -> None:
                self.element = element

            def add_run(self, text: str = "") -> Any:
                run = OxmlElement("w:r")
                element.append(run)
                made = Run(run, paragraph)
                made.text = text
                return made

        return Link()

    def _numbering(self, style: str, start: int) -> int:
        """A numbering of its own that begins at `start`; Word would go on counting from the list before."""
        numbering = self.document.part.numbering_part.element
        number = self.document.styles[style].element.pPr.numPr.numId.val
        abstract = next(one for one in numbering.num_lst if one.numId == number).abstractNumId.val
        made = numbering.add_num(abstract)
        made.add_lvlOverride(0).add_startOverride(start)
        return int(made.numId)


def _group(children: list[Element]) -> Element:
    group = Element("div")
    group.extend([child for child in children if child.tag in _BLOCKS])
    return group
