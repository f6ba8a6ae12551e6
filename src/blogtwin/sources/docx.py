"""Word posts. In: .docx files. Out: a Document whose text is Markdown.

Headings, lists (bullets and numbers, nested), bold and italic, tables, links, code and footnotes are kept; text that was
deleted under tracked changes is left out, text that was inserted is in. Pictures, headers and comments are not text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blogtwin.records import DateSource
from blogtwin.sources import docx_package, titles
from blogtwin.sources.base import Document, one_line, unreadable, without_controls
from blogtwin.sources.docx_text import Footnotes, Numbering, paragraph_text

# The date inside python-docx's own template: it says when that library was made, not when the post was.
_TEMPLATE_DATE = datetime(2013, 12, 23, 23, 15, tzinfo=UTC)
_TEMPLATE_TITLES = ("", "Word Document")
_LEVEL = re.compile(r"heading (\d)", re.IGNORECASE)
_LIST_STYLE = re.compile(r"list (bullet|number)(?: (\d))?$", re.IGNORECASE)
_CODE_STYLE = re.compile(r"code|preformatted|verbatim|listing", re.IGNORECASE)
# A paragraph that begins so would be read as a heading, a quotation, a list or a rule.
_MARKDOWN_START = re.compile(r"^(#{1,6} |>|[-+*] |\d{1,9}[.)] |-{3,}$|={3,}$)")

Block = tuple[str, str]  # kind (text, heading N, list, code, quote, table), Markdown


class DocxSource:
    """Word documents, through python-docx."""

    def read(self, path: Path) -> Document:
        docx_package.check(path)
        import docx
        from lxml import etree  # type: ignore[import-untyped]

        try:
            document = docx.Document(str(path))
            title, blocks = _title_and_blocks(document)
        except (KeyError, ValueError, AttributeError, IndexError, TypeError, etree.LxmlError) as fault:
            # python-docx has no error of its own for a package whose parts do not fit together.
            raise unreadable(
                path, f"is a damaged Word document: {one_line(fault)[:120]}", "save it again in Word"
            ) from fault
        moment, origin = _date(document.core_properties)
        properties = document.core_properties
        return Document(
            text=without_controls(_joined(blocks)).strip(),
            format="docx",
            title=title,
            created_at=moment,
            created_from=origin,
            language=one_line(properties.language) or None,
            author=_author(properties.author),
            tags=tuple(dict.fromkeys(one_line(tag) for tag in re.split(r"[,;]", properties.keywords) if tag.strip())),
        )


def _title_and_blocks(document: Any) -> tuple[str | None, list[Block]]:
    """The title, and the body without it: a visible Title beats the properties, which templates fill with anything."""
    styled: str | None = None
    blocks: list[Block] = []
    footnotes = Footnotes(document)
    for kind, text in _blocks(document.element.body, document, Numbering(document), footnotes):
        if kind == "title" and styled is None and not blocks:
            styled = titles.plain(text)
        else:
            blocks.append(("heading 1" if kind == "title" else kind, text))
    blocks += [("text", note) for note in footnotes.definitions()]
    said = one_line(document.core_properties.title)
    title = styled or (said if said not in _TEMPLATE_TITLES else None)
    tops = [index for index, (kind, _) in enumerate(blocks) if kind == "heading 1"]
    if tops == [0] and (title is None or titles.plain(blocks[0][1]) == title):
        return titles.plain(blocks[0][1]), blocks[1:]
    # Level one belongs to the title, so sections begin at two, as they do in Markdown posts.
    return title, [
        (f"heading {int(kind[-1]) + 1}", text) if kind.startswith("heading") and tops else (kind, text)
        for kind, text in blocks
    ]


def _blocks(parent: Any, document: Any, numbering: Numbering, footnotes: Footnotes) -> Iterator[Block]:
    from docx.oxml.ns import qn
    from docx.text.paragraph import Paragraph

    for child in parent.iterchildren():
        if child.tag == qn("w:p"):
            block = _paragraph(Paragraph(child, document), numbering, footnotes)
            if block[1].strip():
                yield block
        elif child.tag == qn("w:tbl"):
            yield "table", _table(child, document, footnotes)
        elif child.tag in (qn("w:sdt"), qn("w:sdtContent"), qn("w:ins"), qn("w:customXml")):
            yield from _blocks(child, document, numbering, footnotes)


def _paragraph(paragraph: Any, numbering: Numbering, footnotes: Footnotes) -> Block:
    style = (paragraph.style.name or "") if paragraph.style is not None else ""
    if re.match(r"toc\b", style, re.IGNORECASE):
        return "text", ""
    if _CODE_STYLE.search(style):
        return "code", paragraph_text(paragraph, footnotes, plain=True)
    if style in ("Title", "Subtitle"):
        return ("title" if style == "Title" else "text"), paragraph_text(
            paragraph, footnotes, plain=style == "Title"
        ).strip()
    text = paragraph_text(paragraph, footnotes).strip()
    if level := _LEVEL.match(style):
        return f"heading {min(int(level.group(1)), 5)}", paragraph_text(paragraph, footnotes, plain=True).replace(
            "\n", " "
        ).strip()
    listed = _LIST_STYLE.match(style)
    place = numbering.of(paragraph)
    if place or listed:
        depth, ordered = place or (int(listed.group(2) or 1) - 1, listed.group(1).lower() == "number")  # type: ignore[union-attr]
        mark = "1." if ordered else "-"
        return "list", "   " * depth + f"{mark} " + text.replace("\n", "\n" + "   " * (depth + 1))
    if "quote" in style.lower():
        return "quote", "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
    return "text", _MARKDOWN_START.sub(lambda match: _escaped(match.group()), text)


def _escaped(mark: str) -> str:
    return re.sub(r"^(\d*)", r"\1\\", mark, count=1)


def _table(table: Any, document: Any, footnotes: Footnotes) -> str:
    """A Markdown table; its first row is the head, because Markdown knows no other."""
    from docx.oxml.ns import qn
    from docx.text.paragraph import Paragraph

    rows = [
        [
            " ".join(
                paragraph_text(Paragraph(paragraph, document), footnotes).replace("\n", " ").replace("|", r"\|").strip()
                for paragraph in cell.iter(qn("w:p"))
            ).strip()
            for cell in row.iterchildren(qn("w:tc"))
        ]
        for row in table.iterchildren(qn("w:tr"))
    ]
    width = max((len(row) for row in rows), default=0)
    if not any(any(row) for row in rows):
        return ""
    lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def _joined(blocks: list[Block]) -> str:
    """Blocks with blank lines between them, but not inside a list, a quotation or a piece of code."""
    out: list[str] = []
    before = ""
    counters: dict[int, int] = {}
    for kind, text in blocks:
        if kind == "code":
            if before == "code":
                out[-1] = out[-1].removesuffix("\n```") + f"\n{text}\n```"
                continue
            text = f"```\n{text}\n```"
        if kind == "list":
            text = _numbered(text, counters)
        else:
            counters.clear()
        if kind.startswith("heading"):
            text = "#" * int(kind[-1]) + " " + text
        close = kind == before and kind in ("list", "quote")
        if out and kind == before == "quote":
            text = ">\n" + text
        out.append(("\n" if close else "\n\n") + text if out else text)
        before = kind
    return "".join(out)


def _numbered(item: str, counters: dict[int, int]) -> str:
    depth = len(item) - len(item.lstrip(" "))
    for deeper in [place for place in counters if place > depth]:
        del counters[deeper]
    if not item.lstrip().startswith("1. "):
        counters.pop(depth, None)
        return item
    counters[depth] = counters.get(depth, 0) + 1
    return item.replace("1. ", f"{counters[depth]}. ", 1)


def _date(properties: Any) -> tuple[datetime | None, DateSource | None]:
    for moment in (properties.created, properties.modified):
        if moment is None:
            continue
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if moment != _TEMPLATE_DATE:
            return moment, "document"
    return None, None


def _author(name: str) -> str | None:
    return None if name.lower() in ("", "python-docx") else one_line(name)
